"""JSON over HTTP, with readable errors."""

from typing import Any

import httpx

from local.errors import StackError

_TIMEOUT = 30.0  # seconds
_GET_ATTEMPTS = 4  # on a busy machine a server may miss one timeout; a GET can be repeated safely


class JsonApi:
    """One HTTP service that answers in JSON."""

    def __init__(self, base_url: str, timeout: float = _TIMEOUT) -> None:
        """Connect to `base_url`; `timeout` in seconds is that of one attempt."""
        # trust_env=False: requests to this machine must not go through a proxy.
        self._client = httpx.Client(base_url=base_url, timeout=timeout, trust_env=False)

    def authorize(self, token: str) -> None:
        """Send this bearer token with every later request."""
        self._client.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **parameters: str | int) -> Any:
        """Return the answer to a GET. Raises StackError."""
        return self._json(self._request("GET", path, params=parameters))

    def find(self, path: str, **parameters: str | int) -> Any | None:
        """Return the answer to a GET, or None for the status 404. Raises StackError."""
        response = self._request("GET", path, params=parameters)
        return None if response.status_code == httpx.codes.NOT_FOUND else self._json(response)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the answer to a POST. Raises StackError."""
        return self._json(self._request("POST", path, json=body))

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        """Return the answer to a PATCH. Raises StackError."""
        return self._json(self._request("PATCH", path, json=body))

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        attempts = _GET_ATTEMPTS if method == "GET" else 1
        while True:
            attempts -= 1
            try:
                return self._client.request(method, path, headers={"Accept": "application/json"}, **options)
            except httpx.HTTPError as error:
                if attempts and isinstance(error, httpx.TimeoutException):
                    continue
                raise StackError(f"{method} {self._client.base_url.join(path)} failed: {error}") from error

    def _json(self, response: httpx.Response) -> Any:
        if response.is_error:
            request = response.request
            raise StackError(f"{request.method} {request.url} answered {response.status_code}: {response.text[:500]}")
        return response.json()

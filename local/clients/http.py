"""JSON over HTTP, with readable errors."""

import ssl
import time
from functools import cache
from typing import Any

import httpx

from local.errors import StackError

_TIMEOUT = 30.0  # seconds
_GET_ATTEMPTS = 4  # on a busy machine a server may miss one timeout; a GET can be repeated safely
_PAUSE = 0.2  # seconds between two requests to a service in trouble


class JsonApi:
    """One HTTP service that answers in JSON."""

    def __init__(self, base_url: str, timeout: float = _TIMEOUT, patience: float = 0) -> None:
        """Connect to `base_url`.

        Args:
            timeout: seconds for one attempt.
            patience: seconds for which a GET is repeated while the service is down or answers with 5xx.
        """
        self._patience = patience
        # trust_env=False: requests to this machine must not go through a proxy.
        self._client = httpx.Client(base_url=base_url, timeout=timeout, trust_env=False, verify=_authorities())

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

    def put(self, path: str, *ignored: int) -> None:
        """Send a PUT without a body. Raises StackError, but not for an answer with one of the `ignored` statuses."""
        response = self._request("PUT", path)
        if response.status_code not in ignored:
            self._json(response)

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        """Return the answer to a PATCH. Raises StackError."""
        return self._json(self._request("PATCH", path, json=body))

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        attempts, patience = (_GET_ATTEMPTS, self._patience) if method == "GET" else (1, 0)
        deadline = time.monotonic() + patience
        while True:
            attempts -= 1
            patient = time.monotonic() < deadline
            try:
                response = self._client.request(method, path, headers={"Accept": "application/json"}, **options)
            except httpx.HTTPError as error:
                if not patient and not (attempts > 0 and isinstance(error, httpx.TimeoutException)):
                    raise StackError(f"{method} {self._client.base_url.join(path)} failed: {error}") from error
            else:
                if not (patient and response.is_server_error):
                    return response
            if patient:
                time.sleep(_PAUSE)

    def _json(self, response: httpx.Response) -> Any:
        if response.is_error:
            request = response.request
            raise StackError(f"{request.method} {request.url} answered {response.status_code}: {response.text[:500]}")
        return response.json()


@cache
def _authorities() -> ssl.SSLContext:
    """Return the certificates of all authorities; to load them takes 30 ms of processor."""
    return httpx.create_ssl_context(trust_env=False)

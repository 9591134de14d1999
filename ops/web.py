"""JSON over HTTP with the standard library."""

import json
import time
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

_PAUSE = 0.5  # seconds between two requests to a service in trouble


class WebError(Exception):
    """A request failed; the message names it and the answer."""


class Web:
    """One HTTP service on this machine that answers in JSON. Every method may raise WebError."""

    def __init__(self, url: str, patience: float = 0) -> None:
        """Connect to `url`; a GET is repeated for `patience` seconds while the service is down or answers with 5xx."""
        self.url, self._patience = url, patience
        self._opener: OpenerDirector = build_opener(ProxyHandler({}))  # no proxy leads to this machine
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}

    def authorize(self, token: str) -> None:
        """Send this bearer token with every later request."""
        self._headers["Authorization"] = f"Bearer {token}"

    def send_key(self, key: str) -> None:
        """Send this API key of the prediction service with every later request."""
        self._headers["X-API-Key"] = key

    def get(self, path: str) -> Any:
        """Return the answer to a GET."""
        return self._send("GET", path)

    def find(self, path: str) -> Any | None:
        """Return the answer to a GET, or None for the status 404."""
        return self._send("GET", path, ignored=HTTPStatus.NOT_FOUND)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the answer to a POST."""
        return self._send("POST", path, json.dumps(body).encode())

    def put(self, path: str) -> None:
        """Send a PUT without a body; the status 409 counts as done."""
        self._send("PUT", path, ignored=HTTPStatus.CONFLICT)

    def _send(self, method: str, path: str, body: bytes | None = None, ignored: int | None = None) -> Any:
        request = Request(self.url + path, body, self._headers, method=method)  # noqa: S310 - an address of this machine
        deadline = time.monotonic() + (self._patience if method == "GET" else 0)
        while True:
            patient = time.monotonic() < deadline
            try:
                with self._opener.open(request, timeout=30) as answer:
                    return json.loads(answer.read() or b"null")
            except HTTPError as error:
                if error.code == ignored:
                    return None
                if not (patient and error.code >= HTTPStatus.INTERNAL_SERVER_ERROR):
                    text = error.read(500).decode(errors="replace")
                    raise WebError(f"{method} {self.url}{path} answered {error.code}: {text}") from error
            except (URLError, OSError, ValueError) as error:
                if not patient:
                    raise WebError(f"{method} {self.url}{path} failed: {error}") from error
            time.sleep(_PAUSE)

"""A proxy to MLflow that simulates an outage from a certain request on."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from local.stack import Stack


class Cutting:
    """A proxy that forwards requests until one has `where` in its path, and drops that one and all later ones."""

    def __init__(self, url: str, where: str) -> None:
        self._target = urlsplit(url).netloc
        self._where = where
        self._cut = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.forward(self)

            do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stack(self, stack: Stack) -> Any:
        """Return the stack with the proxy as its MLflow."""
        return type("Seen", (), {"environment": stack.environment | {"MLFLOW_TRACKING_URI": self.url}})

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def forward(self, request: BaseHTTPRequestHandler) -> None:
        """Forward a request and its answer, or close the connection."""
        self._cut = self._cut or (self._where in request.path and request.command != "GET")
        request.close_connection = True
        if self._cut:
            return
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection(self._target)
        headers = dict(request.headers) | {"Host": self._target}
        connection.request(request.command, request.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        request.send_response(answer.status)
        request.send_header("Content-Type", answer.getheader("Content-Type", ""))
        request.send_header("Content-Length", str(len(content)))
        request.send_header("Connection", "close")  # so that the client opens a new one
        request.end_headers()
        request.wfile.write(content)
        connection.close()

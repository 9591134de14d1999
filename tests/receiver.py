"""A receiver of notices: a web server on this machine that keeps what Apprise posts to it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "T0ken-of-the-channel"


@dataclass
class Receiver:
    """The address to tell, and what arrived there."""

    url: str
    notices: list[dict[str, str]] = field(default_factory=list)

    def titled(self, title: str) -> list[dict[str, str]]:
        """Return the notices with a title."""
        return [notice for notice in self.notices if notice["title"] == title]


@contextmanager
def receiving(status: int = 200) -> Iterator[Receiver]:
    """Receive notices during the block, and answer with this status."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.notices.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"json://127.0.0.1:{server.server_port}/{TOKEN}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield receiver
        finally:
            server.shutdown()

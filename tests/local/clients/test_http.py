"""The JSON client: a GET is repeated after a timeout or, with patience, an error of the server; a POST is not."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from local.clients.http import JsonApi
from local.errors import StackError


class Slow(BaseHTTPRequestHandler):
    """Answers only requests after the first `missed`."""

    missed = 0
    seen = 0
    over = threading.Event()

    def do_GET(self) -> None:
        type(self).seen += 1
        if self.seen <= self.missed:
            self.over.wait(30)
            return
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class InTrouble(Slow):
    """Answers the first `missed` requests with an error, as Airflow does while PostgreSQL starts."""

    def do_GET(self) -> None:
        type(self).seen += 1
        self.send_response(500 if self.seen <= self.missed else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET  # noqa: N815


@pytest.fixture
def troubled() -> Iterator[tuple[str, type[InTrouble]]]:
    handler = type("Handler", (InTrouble,), {"missed": 3})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()


def test_a_get_is_repeated_with_patience_while_the_server_is_in_trouble(troubled: tuple[str, type[InTrouble]]) -> None:
    url, handler = troubled
    assert JsonApi(url, patience=60).get("/") == {}
    assert handler.seen == 4


@pytest.mark.parametrize(("method", "patience"), [("get", 0), ("post", 60)])
def test_without_patience_and_for_a_post_an_error_of_the_server_is_one(
    troubled: tuple[str, type[InTrouble]], method: str, patience: float
) -> None:
    url, handler = troubled
    with pytest.raises(StackError, match=f"{method.upper()} {url}/ answered 500"):
        getattr(JsonApi(url, patience=patience), method)("/", **({"body": {}} if method == "post" else {}))
    assert handler.seen == 1


def test_patience_ends(troubled: tuple[str, type[InTrouble]]) -> None:
    url, handler = troubled
    handler.missed = 10**6
    with pytest.raises(StackError, match="answered 500"):
        JsonApi(url, patience=0.5).get("/")
    with pytest.raises(StackError, match="failed: .*refused"):
        JsonApi("http://127.0.0.1:1", patience=0.5).get("/")
    assert handler.seen > 1


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, type[Slow]]]:
    """A server that doesn't answer its first requests."""
    handler = type("Handler", (Slow,), {"missed": request.param, "over": threading.Event()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        handler.over.set()
        server.shutdown()


@pytest.mark.parametrize("server", [2], indirect=True)
def test_a_get_is_repeated_after_a_timeout(server: tuple[str, type[Slow]]) -> None:
    url, handler = server
    assert JsonApi(url, timeout=0.5).get("/") == {}
    assert handler.seen == 3


@pytest.mark.parametrize("server", [99], indirect=True)
def test_a_server_that_never_answers_is_an_error(server: tuple[str, type[Slow]]) -> None:
    url, handler = server
    with pytest.raises(StackError, match=f"GET {url}/ failed: timed out"):
        JsonApi(url, timeout=0.1).get("/")
    assert handler.seen == 4


@pytest.mark.parametrize("server", [1], indirect=True)
def test_a_post_is_not_repeated(server: tuple[str, type[Slow]]) -> None:
    url, handler = server
    with pytest.raises(StackError, match="timed out"):
        JsonApi(url, timeout=0.1).post("/", {})
    assert handler.seen == 1

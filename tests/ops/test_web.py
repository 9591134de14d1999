"""The client of `make compose-run`: it follows a run although Airflow is in trouble."""

import pytest

from ops.web import Web, WebError
from tests.local.clients.test_http import InTrouble, troubled

__all__ = ["troubled"]

Troubled = tuple[str, type[InTrouble]]


def test_a_get_is_repeated_with_patience_while_the_server_is_in_trouble(troubled: Troubled) -> None:
    url, handler = troubled
    handler.missed = 1
    assert Web(url, patience=60).get("/") == {}
    assert handler.seen == 2


@pytest.mark.parametrize(("method", "patience"), [("GET", 0), ("POST", 60)])
def test_without_patience_and_for_a_post_an_error_of_the_server_is_one(
    troubled: Troubled, method: str, patience: float
) -> None:
    url, handler = troubled
    web = Web(url, patience)
    with pytest.raises(WebError, match=f"{method} {url}/ answered 500"):
        web.get("/") if method == "GET" else web.post("/", {})
    assert handler.seen == 1


def test_patience_ends(troubled: Troubled) -> None:
    url, handler = troubled
    handler.missed = 10**6
    with pytest.raises(WebError, match="answered 500"):
        Web(url, patience=0.7).get("/")
    with pytest.raises(WebError, match="failed: .*refused"):
        Web("http://127.0.0.1:1", patience=0.1).get("/")
    assert handler.seen > 1

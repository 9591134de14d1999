"""Airflow answers under its own names only, and under those that a setting adds."""

import asyncio
from collections.abc import Callable, Iterator

import httpx
import pytest
from starlette.responses import PlainTextResponse

from penguins.settings import settings
from penguins_plugin import own_hosts_only

Ask = Callable[[str], int]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """Ask an application behind Airflow's middleware under a name; return the status of the answer."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.org/team")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "http://airflow-api-server:8080/execution/")

    def ask(host: str) -> int:
        settings.cache_clear()
        transport = httpx.ASGITransport(own_hosts_only(PlainTextResponse("open")))

        async def get() -> int:
            async with httpx.AsyncClient(transport=transport) as client:
                return (await client.get("http://localhost/", headers={"Host": host})).status_code

        return asyncio.run(get())

    yield ask
    settings.cache_clear()


def test_own_names_are_answered(ask: Ask) -> None:
    for host in ("localhost:8080", "127.0.0.1", "airflow.example.org", "airflow-api-server:8080"):
        assert ask(host) == 200
    for host in ("evil.example", "10.evil.example", "proxy.example.org"):
        assert ask(host) == 400


def test_names_can_be_added(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENGUINS_ALLOWED_HOSTS", "proxy.example.org, other.example.org")
    for host in ("localhost", "proxy.example.org", "other.example.org:443"):
        assert ask(host) == 200
    assert ask("evil.example") == 400
    monkeypatch.setenv("PENGUINS_ALLOWED_HOSTS", "*")
    assert ask("evil.example") == 200

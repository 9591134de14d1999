"""The service answers under its own names only, against DNS rebinding."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from serving.api.app import ENDPOINTS, FORMS
from serving.api.keys import Keys
from serving.api.middleware import Middleware
from serving.settings import Settings


def ask(host: str, **settings: str) -> httpx.Response:
    """Return the answer to a request under this name."""
    app = FastAPI()

    @app.get("/open")
    async def unprotected() -> str:
        return "open"

    values = Settings.model_validate(settings)
    transport = httpx.ASGITransport(Middleware(app, values, Keys(values), ENDPOINTS, FORMS))

    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get("/open", headers={"Host": host})

    return asyncio.run(get())


@pytest.mark.parametrize(
    "host",
    ["evil.example", "10.evil.example", "127.0.0.1.evil.example:8000", "localhost.evil.example", "localhost@x", "["],
)
def test_a_foreign_host_is_refused(host: str) -> None:
    refused = ask(host)
    assert refused.status_code == 421
    assert "SERVING_ALLOWED_HOSTS" in refused.json()["detail"]


@pytest.mark.parametrize("host", ["localhost", "LocalHost:8000", "127.0.0.1:8000", "[::1]:8000", "192.168.1.5", ""])
def test_own_names_and_addresses_are_answered(host: str) -> None:
    assert ask(host).json() == "open"


def test_names_can_be_added() -> None:
    names = "api, Penguins.example.org"
    assert ask("api:8000", allowed_hosts=names).is_success
    assert ask("penguins.example.org", allowed_hosts=names).is_success
    assert ask("example.org", allowed_hosts=names).status_code == 421
    assert ask("example.org", allowed_hosts="*").is_success

"""The gauges without PostgreSQL, for somebody without a login. test_app.py asks Airflow's API server."""

import asyncio

import httpx
import pytest

from penguins.ui.metrics import app


def test_nobody_learns_where_the_database_is(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.get("/metrics")

    monkeypatch.setenv("AIRFLOW_CONN_PENGUINS_DB", "postgresql://penguins:secret@127.0.0.1:1/penguins")
    answer = asyncio.run(ask())
    assert answer.status_code == 503
    assert answer.text == "Postgres doesn't answer: the log of Airflow's API server says why\n"
    assert "port 1 failed" in caplog.text

"""Alerts from Prometheus' Alertmanager, told like the notices of the DAGs. test_app.py asks Airflow's API server."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from penguins.settings import settings
from penguins.ui.alerts import app
from tests.receiver import Receiver, receiving

HEADERS = {"Authorization": "Bearer of the alerts"}


@pytest.fixture(autouse=True)
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """The receiver that is told."""
    with receiving() as receiver:
        monkeypatch.setenv("PENGUINS_NOTIFY_URL", receiver.url)
        monkeypatch.setenv("PENGUINS_ALERTS_TOKEN", "of the alerts")
        settings.cache_clear()
        yield receiver
    settings.cache_clear()


def alert(
    status: str = "firing", severity: str = "critical", summary: str = "api:8000 doesn't answer"
) -> dict[str, Any]:
    """Return an alert as Alertmanager's webhook has it."""
    return {
        "status": status,
        "labels": {"alertname": "ServiceDown", "severity": severity, "instance": "api:8000"},
        "annotations": {"summary": summary, "description": "Look at its log."},
        "startsAt": "2026-03-01T12:00:00Z",
        "fingerprint": "0",
    }


def send(*alerts: dict[str, Any], **options: Any) -> int:
    """Send alerts as Alertmanager does, and return the status of the answer."""
    body = {"version": "4", "status": "firing", "receiver": "people", "alerts": list(alerts)}

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.post("/alerts", **({"json": body, "headers": HEADERS} | options))

    return asyncio.run(post()).status_code


def test_alerts_of_one_kind_are_one_notice(receiver: Receiver) -> None:
    assert send(alert(), alert(summary="api:8001 doesn't answer"), alert("resolved")) == 204
    assert send(alert(severity="warning")) == 204
    assert send(alert("resolved")) == 204
    both, one, over = receiver.notices
    assert (both["title"], both["type"]) == ("ServiceDown: 2 firing", "failure")
    told = ["api:8000 doesn't answer", "api:8001 doesn't answer", "over: api:8000 doesn't answer", "Look at its log."]
    assert both["message"].splitlines() == told
    assert (one["title"], one["type"]) == ("ServiceDown: 1 firing", "warning")
    assert (over["title"], over["type"]) == ("ServiceDown: over", "success")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"headers": {}}, 401),
        ({"headers": {"Authorization": "Bearer of others"}}, 401),
        ({"headers": {"Authorization": "Bearer of the älerts".encode("latin-1")}}, 401),
        ({"json": {"alerts": []}}, 422),
        ({"json": None, "content": b"{"}, 422),
    ],
)
def test_what_is_none_of_alertmanager_is_not_told(receiver: Receiver, options: dict[str, Any], status: int) -> None:
    assert send(alert(), **options) == status
    assert receiver.notices == []


def test_alertmanager_tries_again_what_was_not_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(status=500) as refusing:
        monkeypatch.setenv("PENGUINS_NOTIFY_URL", refusing.url)
        settings.cache_clear()
        assert send(alert()) == 502


@pytest.mark.parametrize(("variable", "status"), [("PENGUINS_NOTIFY_URL", 204), ("PENGUINS_ALERTS_TOKEN", 404)])
def test_without_an_address_or_a_token_nobody_is_told(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, variable: str, status: int
) -> None:
    monkeypatch.setenv(variable, "")
    settings.cache_clear()
    assert send(alert()) == status
    assert receiver.notices == []

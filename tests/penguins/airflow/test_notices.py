"""Notices, by Airflow's own hook, to a receiver on this machine. tests/e2e tests that failed runs are told."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from local.ports import free_ports
from penguins.airflow import notices
from penguins.airflow.notices import Notice, tell
from penguins.monitoring.alarms import Alarm
from penguins.settings import settings
from tests.penguins import ours
from tests.receiver import TOKEN, receiving

Told = Callable[[str], None]
RUN = "manual__2026-03-01T12:00:00+00:00"
CONTEXT: dict[str, Any] = {"dag": SimpleNamespace(dag_id="penguins_training"), "run_id": RUN}
PAGE = "https://airflow.example.org/team/dags/penguins_training/runs/manual__2026-03-01T12%3A00%3A00%2B00%3A00"


@pytest.fixture(autouse=True)
def tell_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """Set the address that notices go to."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.org/team/")

    def use(url: str) -> None:
        monkeypatch.setenv("PENGUINS_NOTIFY_URL", url)
        settings.cache_clear()

    yield use
    settings.cache_clear()


def test_a_failed_run_is_told_with_its_page(tell_to: Told) -> None:
    failed = CONTEXT | {"ti": SimpleNamespace(task_id="load_raw"), "reason": "task_failure"}
    with receiving() as receiver:
        tell_to(receiver.url)
        notices.failure_of(ours.contract())(failed)
        notices.failure_of(ours.contract())(CONTEXT | {"reason": "all_tasks_deadlocked"})
    first, second = receiver.notices
    assert (first["title"], first["type"]) == ("penguins_training failed", "failure")
    assert first["message"] == f"The run {RUN} failed at load_raw.\nContract: penguins\n{PAGE}"
    assert second["message"].startswith(f"The run {RUN} failed: all_tasks_deadlocked.\n")


def test_a_full_disk_and_a_failed_run_of_no_contract_are_told(tell_to: Told) -> None:
    with receiving() as receiver:
        tell_to(receiver.url)
        assert notices.tell_disk("4.0 GB of 100.0 GB are free (4%)", "database mlflow 2.0 GB")
        notices.failure_of(None)(CONTEXT | {"ti": SimpleNamespace(task_id="runs")})
    disk, failed = receiver.notices
    assert (disk["title"], disk["type"]) == ("The disk is nearly full: 4.0 GB of 100.0 GB are free (4%)", "warning")
    assert disk["message"] == "The stack uses: database mlflow 2.0 GB\ndocs/how-to/keep-house.md"
    assert failed["message"] == f"The run {RUN} failed at runs.\n{PAGE}"


def test_an_alarm_is_told_with_version_and_window_and_what_became_of_it(tell_to: Told) -> None:
    end = datetime(2026, 3, 1, 12, tzinfo=UTC)
    texts = ("penguins", "penguins_rf", "3", end - timedelta(hours=1), end)
    asking = Alarm(5, *texts, "drift", "body_mass_g drifted", end, end, None, None, None)
    closed = replace(asking, id=6, kind="accuracy", emitted_at=None, outcome="not trained: alarm 5 asked for one")
    with receiving() as receiver:
        tell_to(receiver.url)
        assert notices.tell_alarm(ours.contract(), asking, CONTEXT)
        assert notices.tell_alarm(ours.contract(), closed, CONTEXT)
        notices.tell_training(ours.contract(), [asking], CONTEXT)
        notices.tell_training(ours.contract(), [], CONTEXT)
    first, second, third = receiver.notices
    assert (first["title"], first["type"]) == ("penguins: drift", "warning")
    assert first["message"] == "\n".join(
        [
            "body_mass_g drifted",
            "Alarm 5: a training was asked for",
            "Model: penguins_rf version 3",
            "Window: 2026-03-01 11:00:00 to 2026-03-01 12:00:00 UTC",
            "Contract: penguins",
            PAGE,
        ]
    )
    assert second["title"] == "penguins: the accuracy is below the floor"
    assert "\nAlarm 6: not trained: alarm 5 asked for one\n" in second["message"]
    assert third["title"] == "penguins: a training has started"
    assert third["message"].startswith("Because of alarm 5, drift: body_mass_g drifted\n")


def test_decisions_and_questions_are_told_and_other_outcomes_are_not(tell_to: Told) -> None:
    with receiving() as receiver:
        tell_to(receiver.url)
        for outcome in ("promoted", "asking", "shadowing", "refused", "expired", "none", "waiting"):
            notices.tell_decision(ours.contract(), "7", outcome, "it is right on 3 more {{ rows }}", CONTEXT)
    model = ours.contract().training.registered_model
    assert [(notice["title"], notice["type"]) for notice in receiver.notices] == [
        (f"{model} version 7 was promoted", "success"),
        (f"{model} version 7 waits for a person's decision", "warning"),
        (f"{model} version 7 answers in the shadow of Production first", "info"),
        (f"{model} version 7 was not promoted", "info"),
        (f"{model} version 7 has expired in the shadow", "info"),
    ]
    assert receiver.notices[0]["message"] == f"it is right on 3 more {{{{ rows }}}}\nContract: penguins\n{PAGE}"


def test_several_channels_are_told(tell_to: Told) -> None:
    with receiving() as one, receiving() as other:
        tell_to(f"{one.url} {other.url}")
        assert tell(Notice("title", "body"))
    assert len(one.notices) == len(other.notices) == 1


@pytest.mark.parametrize("url", ["", " "])
def test_without_an_address_nobody_is_told(tell_to: Told, url: str, caplog: pytest.LogCaptureFixture) -> None:
    tell_to(url)
    assert not tell(Notice("title", "body"))
    assert caplog.messages == []


def test_a_receiver_that_refuses_is_named_in_the_log_without_the_address(
    tell_to: Told, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving(status=500) as receiver:
        tell_to(receiver.url)
        assert not tell(Notice("penguins_training failed", "body"))
    (message,) = (record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)
    assert message.startswith("the notice 'penguins_training failed' was not delivered to PENGUINS_NOTIFY_URL: Failed")
    assert "error=500" in message


@pytest.mark.parametrize(
    "url",
    [
        f"json://user:{TOKEN}@127.0.0.1:PORT/{TOKEN}?+X-Key={TOKEN}",
        f"https//hooks.example.org/{TOKEN}",
        f"{TOKEN}://hooks.example.org",
        f"discord://{TOKEN}",
        f"file:///tmp/{TOKEN}",
        f"  {TOKEN}",
    ],
)
def test_an_address_that_cannot_be_reached_or_read_harms_nothing_and_stays_secret(
    tell_to: Told, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tell_to(url.replace("PORT", str(free_ports(1)[0])))
    assert not tell(Notice("penguins_training failed", "body"))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.messages[0].startswith("the notice 'penguins_training failed' was not delivered")
    assert TOKEN not in caplog.text


def test_no_form_of_a_secret_is_logged() -> None:
    """A password may have the very characters that separate the parts of an address."""
    url = "jsons://bob:p%40ss%2Fword@host.example/x?token=a%3Db+c"
    text = notices._without(url, "bob has p@ss/word, p%40ss%2Fword and a=b+c at host.example")
    assert text == "… has …, … and … at …"

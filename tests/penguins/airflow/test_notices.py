"""Notices, by Airflow's own hook, to a receiver on this machine. tests/e2e tests that failed runs are told."""

import logging
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from local.ports import free_ports
from penguins.airflow import notices
from penguins.airflow.notices import Notice, tell
from penguins.promotion.registration import RegisterReport
from penguins.settings import settings
from tests.penguins import ours
from tests.receiver import TOKEN, receiving

Told = Callable[[str], None]
RUN = "manual__2026-03-01T12:00:00+00:00"
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
    context = {
        "dag": SimpleNamespace(dag_id="penguins_training"),
        "run_id": RUN,
        "ti": SimpleNamespace(task_id="load_raw"),
        "reason": "task_failure",
    }
    with receiving() as receiver:
        tell_to(receiver.url)
        notices.failure_of("penguins")(context)
        notices.failure_of("penguins")({key: context[key] for key in ("dag", "run_id", "reason")})
    first, second = receiver.notices
    assert (first["title"], first["type"]) == ("penguins_training failed", "failure")
    assert first["message"] == f"The run {RUN} failed at load_raw.\nContract: penguins\n{PAGE}"
    assert second["message"].startswith(f"The run {RUN} failed: task_failure.\n")


def test_a_promotion_and_a_question_are_told_but_not_a_refusal(tell_to: Told) -> None:
    with receiving() as receiver:
        tell_to(receiver.url)
        for promoted in (True, None, False):
            report = RegisterReport("7", promoted, "it is right on 3 more {{ rows }}")
            notices.tell_decision(ours.contract(), report, "penguins_training", RUN)
    model = ours.contract().training.registered_model
    assert [(notice["title"], notice["type"]) for notice in receiver.notices] == [
        (f"{model} version 7 was promoted", "success"),
        (f"{model} version 7 waits for a person's decision", "warning"),
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
        f"json://user:{TOKEN}@127.0.0.1:{free_ports(1)[0]}/{TOKEN}?+X-Key={TOKEN}",
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
    tell_to(url)
    assert not tell(Notice("penguins_training failed", "body"))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.messages[0].startswith("the notice 'penguins_training failed' was not delivered")
    assert TOKEN not in caplog.text

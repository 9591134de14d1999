"""Reasons for alarms, alarms, and the trainings that they ask for, in a real database."""

import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowSkipException
from psycopg import Connection
from psycopg.types.json import Jsonb

from contract.monitoring import Monitoring
from contract.schema import DataContract
from contract.segments import LoggedContract, LoggedFeature
from local.stack import Stack
from penguins.airflow import following, notices
from penguins.monitoring import alarms, reasons, verdicts
from penguins.monitoring.alarms import Reason
from penguins.monitoring.live import read_live
from penguins.monitoring.spans import Span, latest_span
from penguins.monitoring.verdicts import WindowVerdict, Word
from penguins.settings import settings
from tests.penguins import ours
from tests.penguins.conftest import Connect, connect_to
from tests.penguins.monitoring.conftest import superuser
from tests.receiver import receiving
from tests.shipper.segments import NOW, ids_at

HOUR = timedelta(hours=1)
DIGEST = bytes(16)
CLASSES = ("Adelie", "Chinstrap", "Gentoo")
DRIFT = Reason("drift", "1", "body_mass_g drifted")


def window(hours: float = 0) -> Span:
    return latest_span(NOW - timedelta(hours=hours), HOUR)


def contract(**changes: Any) -> DataContract:
    """Return the penguins' contract with other rules."""
    rules = Monitoring.model_validate({"accuracy_floor": 0.8} | changes)
    return ours.contract().model_copy(update={"monitoring": rules})


def judged(connection: Connection[Any], span: Span, word: Word = "stable", version: str = "1") -> None:
    """Write a verdict."""
    features = ["body_mass_g"] if word == "drifted" else []
    found = WindowVerdict("penguins", ours.model(), version, *span, 500, {"Adelie": 500}, word, features)
    verdicts.write(connection, [found])


def answered(
    stack: Stack, span: Span, right: int = 0, wrong: int = 0, version: str = "1", model: str = "", seconds: float = 1
) -> list[UUID]:
    """Write answers, and for each its truth: so many are right."""
    at = span.start + timedelta(seconds=seconds)
    ids = ids_at(at, max(1, right + wrong))
    said = ["Adelie"] * right + ["Gentoo"] * wrong
    feature = LoggedFeature(name="body_mass_g", type="number")
    document = LoggedContract(name="penguins", target="species", classes=CLASSES, features=(feature,))
    with superuser(stack) as connection:
        connection.execute(
            "INSERT INTO log.contracts (digest, name, document) VALUES (%s, 'penguins', %s) ON CONFLICT DO NOTHING",
            [DIGEST, Jsonb(document.model_dump(mode="json"))],
        )
        name = model or ours.model()
        with connection.cursor() as cursor:
            cursor.executemany(
                """INSERT INTO log.predictions (prediction_id, row_index, at, contract, model, version, class,
                       latency_ms, outside, fraction, features, probabilities)
                   VALUES (%s, 0, %s, %s, %s, %s, 0, 1, 0, 1, '{1}', '{1,0,0}')""",
                [[each, at, DIGEST, name, version] for each in ids],
            )
            cursor.executemany(
                """INSERT INTO log.feedback (prediction_id, row_index, class, at, who, received_at, model)
                   VALUES (%s, 0, %s, %s, 'ada', now(), %s)""",
                [[each, true, at, name] for each, true in zip(ids, said, strict=False)],
            )
    return ids


def raised(connection: Connection[Any], span: Span, found: Sequence[Reason] = (DRIFT,), **rules: Any) -> alarms.Raised:
    judged(connection, span)
    return alarms.raise_alarms(connection, contract(**rules), span, found)


@pytest.fixture
def other(stack: Stack) -> Iterator[Connection[Any]]:
    """Another session of the pipeline."""
    with connect_to(stack)() as connection:
        yield connection


def test_a_window_that_drifted_is_a_reason(log: Connection[Any]) -> None:
    for word in ("stable", "too few", "no reference"):
        judged(log, window(), word)  # type: ignore[arg-type]
        assert reasons.find_reasons(log, contract(), window()) == []
    judged(log, window(), "drifted")
    (reason,) = reasons.find_reasons(log, contract(), window())
    assert reason == Reason("drift", "1", "body_mass_g drifted in 500 rows of version 1")


def test_an_empty_log_is_no_reason(log: Connection[Any]) -> None:
    assert reasons.find_reasons(log, contract(), window()) == []


def test_a_version_that_was_replaced_in_the_window_is_no_reason(stack: Stack, log: Connection[Any]) -> None:
    judged(log, window(), "drifted")
    judged(log, window(), "stable", "2")
    answered(stack, window(), version="1")
    answered(stack, window(), version="2", seconds=2)
    assert reasons.find_reasons(log, contract(), window()) == []
    answered(stack, window(), version="1", seconds=3)
    assert [each.version for each in reasons.find_reasons(log, contract(), window())] == ["1"]


def test_an_accuracy_below_the_floor_is_a_reason(stack: Stack, log: Connection[Any]) -> None:
    judged(log, window())
    answered(stack, window(), right=150, wrong=50)  # 75 %, which happens by chance at 80 %
    answered(stack, window(), wrong=500, model="another")
    assert reasons.find_reasons(log, contract(), window()) == []
    answered(stack, window(), wrong=60, seconds=2)
    (reason,) = reasons.find_reasons(log, contract(), window())
    assert reason.kind == "accuracy"
    assert "was right on 150 of 260 rows of the window (57.7%, 51.6% to 63.5%), and the floor is 80.0%" in reason.text
    assert reasons.find_reasons(log, contract(accuracy_floor=None), window()) == []


def test_truth_about_another_model_hides_none(stack: Stack, log: Connection[Any]) -> None:
    judged(log, window())
    ids = answered(stack, window(), wrong=50)
    with superuser(stack) as connection, connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO log.feedback (prediction_id, row_index, class, at, who, received_at, model)
               VALUES (%s, 0, 'Adelie', now(), 'eve', now(), 'another')""",
            [[each] for each in ids],
        )
    (reason,) = reasons.find_reasons(log, contract(), window())
    assert "was right on 0 of 50 rows" in reason.text


def test_a_class_that_the_version_doesnt_know_is_answered_wrong(stack: Stack, log: Connection[Any]) -> None:
    """As after a rollback to a version from before there was that class: the service still takes it."""
    judged(log, window())
    answered(stack, window(), right=50)
    ids = answered(stack, window(), wrong=50, seconds=2)
    with superuser(stack) as connection:
        connection.execute("UPDATE log.feedback SET class = 'Emperor' WHERE prediction_id = ANY(%s)", [ids])
    (reason,) = reasons.find_reasons(log, contract(), window())
    assert "was right on 50 of 100 rows of the window" in reason.text
    live = read_live(log, CLASSES, DIGEST, ours.model(), "1", *window()).document(100)
    assert (live["labelled"], live["confusion"]["Emperor"]) == (100, {"Adelie": 50})
    assert live["recalls"]["Emperor"]["value"] == 0


def test_the_accuracy_is_also_that_of_a_week(stack: Stack, log: Connection[Any]) -> None:
    judged(log, window())
    for day in range(6):
        answered(stack, window(24 * day), right=4, wrong=6)
    (reason,) = reasons.find_reasons(log, contract(), window())
    assert "was right on 24 of 60 rows of the last 7 days" in reason.text


@pytest.mark.usefixtures("mlflow")
def test_much_new_truth_is_a_reason_once(stack: Stack, log: Connection[Any]) -> None:
    judged(log, window())
    answered(stack, window(100), right=49)
    assert reasons.find_reasons(log, contract(new_truth=50), window()) == []
    answered(stack, window(100), right=1)
    (reason,) = reasons.find_reasons(log, contract(new_truth=50), window())
    assert reason.kind == "truth"
    assert reason.text.startswith("50 true classes came since 1970-01-01")
    assert [alarm.kind for alarm in raised(log, window(), [reason]).new] == ["truth"]
    judged(log, window(-1))
    assert reasons.find_reasons(log, contract(new_truth=50), window(-1)) == []


def test_the_same_alarm_twice_is_one(log: Connection[Any], other: Connection[Any]) -> None:
    first = raised(log, window())
    assert [str(alarm) for alarm in first.new] == [f"alarm {first.new[0].id}, drift: body_mass_g drifted"]
    assert first.asking[0].emitted_at is not None
    again = raised(other, window())
    assert (again.new, again.asking) == ([], first.asking)  # the task's second try asks again, until a run follows
    assert alarms.follow(log, contract(), [first.new[0].id], "asset_triggered__1")
    assert raised(log, window()) == ([], [])
    assert len(alarms.latest(log, "penguins", 10)) == 1


def test_two_monitoring_runs_at_once_raise_one_alarm(log: Connection[Any], connect: Connect) -> None:
    results: list[alarms.Raised] = []
    start = threading.Barrier(2)

    def run(span: Span) -> None:
        with connect() as connection:
            start.wait()
            results.append(alarms.raise_alarms(connection, contract(), span, [DRIFT]))

    for spans in ((window(40), window(40)), (window(4), window(5))):  # the same window, and two neighbours
        results.clear()
        log.execute("UPDATE monitoring.alarms SET emitted_at = now() - interval '9 days', outcome = 'done'")
        for span in spans:
            judged(log, span)
        threads = [threading.Thread(target=run, args=[span]) for span in spans]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sum(len(each.new) for each in results) == 1
        assert len({alarm.id for each in results for alarm in each.asking}) <= 1


def test_after_an_alarm_there_is_a_cooldown(log: Connection[Any]) -> None:
    first = raised(log, window(30), cooldown="1d")
    assert first.asking
    assert raised(log, window(7), cooldown="1d") == ([], [])  # 23 hours later
    accuracy = Reason("accuracy", "1", "it is low")
    (of_another_kind,) = raised(log, window(7), [accuracy], cooldown="1d").new
    assert of_another_kind.outcome == f"not trained: alarm {first.new[0].id} asked for one, which hasn't ended"
    assert of_another_kind.closed_at is not None
    log.execute("UPDATE monitoring.alarms SET outcome = 'done' WHERE outcome IS NULL")
    (later,) = raised(log, window(6), cooldown="1d").new  # 24 hours after the first one
    assert later.outcome == f"not trained: alarm {first.new[0].id} asked for one, and the cooldown is 1d"
    log.execute("UPDATE monitoring.alarms SET emitted_at = emitted_at - interval '1 day'")
    about_another = Reason("drift", "2", "of the successor")
    assert raised(log, window(5), [about_another], cooldown="1d").asking


def test_a_training_that_runs_keeps_others_away(log: Connection[Any]) -> None:
    first = raised(log, window(3), cooldown="1s")
    log.execute("UPDATE monitoring.alarms SET emitted_at = emitted_at - interval '2 seconds'")  # the cooldown is over
    (second,) = raised(log, window(2), cooldown="1s").new
    assert second.outcome == f"not trained: alarm {first.new[0].id} asked for one, which hasn't ended"
    assert alarms.follow(log, contract(), [first.new[0].id], "asset_triggered__1")
    alarms.settle(log, contract(), lambda run: run != "asset_triggered__1")
    assert raised(log, window(1), cooldown="1s").asking == []
    alarms.settle(log, contract(), lambda run: run == "asset_triggered__1")
    (closed,) = alarms.of_run(log, "penguins", "asset_triggered__1")
    assert closed.outcome == "asset_triggered__1 ended without a decision: it failed, or asks a person"
    assert raised(log, window(), cooldown="1s").asking


def test_also_one_that_runs_for_days(log: Connection[Any]) -> None:
    """As one that waits for a person."""
    first = raised(log, window(3), cooldown="1s")
    alarms.follow(log, contract(), [first.new[0].id], "asset_triggered__1")
    log.execute("UPDATE monitoring.alarms SET emitted_at = now() - interval '3 days'")
    alarms.settle(log, contract(), lambda _: False)
    (second,) = raised(log, window(2), cooldown="1s").new
    assert second.outcome == f"not trained: alarm {first.new[0].id} asked for one, which hasn't ended"
    alarms.settle(log, contract(), lambda _: True)
    assert raised(log, window(1), cooldown="1s").asking


def test_a_training_that_never_begins_is_given_up(log: Connection[Any]) -> None:
    """Its DAG is paused: the alarm isn't open for ever. If it begins after all, it follows the alarm."""
    (alarm,) = raised(log, window()).new
    log.execute("UPDATE monitoring.alarms SET emitted_at = now() - interval '23 hours'")
    alarms.settle(log, contract())
    assert alarms.latest(log, "penguins", 1)[0].outcome is None
    log.execute("UPDATE monitoring.alarms SET emitted_at = now() - interval '25 hours'")
    alarms.settle(log, contract())
    (given_up,) = alarms.latest(log, "penguins", 1)
    assert given_up.outcome == "no training has begun within a day: is its DAG paused?"
    assert given_up.closed_at is not None
    (followed,) = following.begin(log, contract(), [alarm.id], "asset_triggered__1")
    assert (followed.run_id, followed.outcome, followed.closed_at) == ("asset_triggered__1", None, None)


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ({"retrain": False}, "the contract doesn't want it"),
        ({"source": ""}, "the contract names no source"),
    ],
)
def test_not_every_alarm_asks_for_a_training(log: Connection[Any], rules: dict[str, Any], why: str) -> None:
    chosen = contract(**{name: value for name, value in rules.items() if name == "retrain"})
    if "source" in rules:
        chosen = chosen.model_copy(update={"training": chosen.training.model_copy(update={"source": ""})})
    judged(log, window())
    found = alarms.raise_alarms(log, chosen, window(), [DRIFT])
    assert found.asking == []
    (alarm,) = found.new
    assert (alarm.emitted_at, alarm.run_id) == (None, None)
    assert (alarm.outcome or "").startswith(f"not trained: {why}")


def test_windows_of_the_past_raise_no_alarm(log: Connection[Any]) -> None:
    judged(log, window())
    assert alarms.raise_alarms(log, contract(), window(), [DRIFT], is_backfill=True) == ([], [])
    judged(log, window(-1))
    assert alarms.raise_alarms(log, contract(), window(), [DRIFT]) == ([], [])
    later = alarms.raise_alarms(log, contract(), window(-1), [DRIFT])
    assert later.asking
    judged(log, window(-2))
    assert alarms.raise_alarms(log, contract(), window(-1), [DRIFT]).asking == later.asking  # by a second try


def told(connection: Connection[Any], monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Tell of the alarms as a monitoring run does."""
    monkeypatch.setenv("PENGUINS_NOTIFY_URL", url)
    settings.cache_clear()
    notices.tell_alarms(connection, contract(), {"dag": SimpleNamespace(dag_id="penguins_monitoring"), "run_id": "1"})


def test_people_are_told_of_an_alarm_once_and_again_until_that_has_succeeded(
    log: Connection[Any], other: Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (alarm,) = raised(log, window()).new  # and then the task is killed
    with receiving() as receiver, receiving(status=500) as refusing:
        told(log, monkeypatch, refusing.url)
        told(other, monkeypatch, receiver.url)
        told(log, monkeypatch, receiver.url)
    assert len(refusing.notices) == len(receiver.notices) == 1
    assert f"Alarm {alarm.id}: a training was asked for" in receiver.notices[0]["message"]
    assert raised(log, window(), [Reason("accuracy", "1", "it is low")]).new
    told(log, monkeypatch, "")  # nobody wants to know, and later nobody wants to know of the past
    with receiving() as receiver:
        told(log, monkeypatch, receiver.url)
    assert receiver.notices == []


def test_news_of_a_week_ago_are_none(log: Connection[Any], stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    assert raised(log, window()).new
    with superuser(stack) as connection:
        connection.execute("UPDATE monitoring.alarms SET raised_at = now() - interval '8 days'")
    with receiving() as receiver:
        told(log, monkeypatch, receiver.url)
    assert receiver.notices == []


def test_an_alarm_is_there_with_what_was_decided_of_it_or_not_at_all(log: Connection[Any]) -> None:
    """The session ends between the two."""

    class Ending:
        def execute(self, statement: Any, values: Any = None) -> Any:
            if "SET emitted_at" in statement:
                raise psycopg.OperationalError
            return log.execute(statement, values)

        def __getattr__(self, name: str) -> Any:
            return getattr(log, name)

    judged(log, window())
    with pytest.raises(psycopg.OperationalError):
        alarms.raise_alarms(Ending(), contract(), window(), [DRIFT])  # type: ignore[arg-type]
    assert alarms.latest(log, "penguins", 1) == []
    assert alarms.raise_alarms(log, contract(), window(), [DRIFT]).new


def test_one_run_follows_an_alarm(
    log: Connection[Any], other: Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    (alarm,) = raised(log, window()).new
    following.begin(log, contract(), [alarm.id], "asset_triggered__1")
    assert f"this run follows {alarm}" in caplog.text
    following.begin(log, contract(), [alarm.id], "asset_triggered__1")  # cleared
    with pytest.raises(AirflowSkipException, match=f"the alarms {alarm.id} have their training run already"):
        following.begin(other, contract(), [alarm.id], "asset_triggered__2")
    following.begin(other, contract(), None, "scheduled__1")
    following.begin(other, contract(), [], "asset_triggered__3")  # by an event that a person made
    assert alarms.describe(alarms.of_run(log, "penguins", "asset_triggered__1")) == f"trained for {alarm}"
    assert alarms.describe(alarms.of_run(log, "penguins", "scheduled__1")) == ""


def test_the_decision_about_the_version_closes_the_alarm(log: Connection[Any]) -> None:
    (alarm,) = raised(log, window()).new
    following.begin(log, contract(), [alarm.id], f"asset_triggered__{alarm.id}")
    alarms.settle(log, contract())
    assert alarms.latest(log, "penguins", 1)[0].outcome is None
    add = """INSERT INTO audit.promotions (model, who, action, to_version, reason, numbers, dag_run_id)
        VALUES (%s, 'register_best', %s, '7', 'it is worse', '{}', %s)"""
    log.execute(add, ["another model", "refuse", f"asset_triggered__{alarm.id}"])
    log.execute(add, [ours.model(), "shadow", f"asset_triggered__{alarm.id}"])
    alarms.settle(log, contract(), lambda _: True)  # the version in the shadow is decided about later
    assert alarms.latest(log, "penguins", 1)[0].outcome is None
    log.execute(add, [ours.model(), "refuse", f"asset_triggered__{alarm.id}"])
    alarms.settle(log, contract())
    (closed,) = alarms.latest(log, "penguins", 1)
    assert closed.outcome == "version 7 was not promoted: it is worse"
    assert closed.closed_at is not None


def test_what_was_raised_cant_be_changed(log: Connection[Any]) -> None:
    raised(log, window())
    for statement in (
        "UPDATE monitoring.alarms SET reason = 'none'",
        "DELETE FROM monitoring.alarms",
        "DELETE FROM monitoring.verdicts",
        "CREATE TABLE monitoring.mine (x int)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            log.execute(statement)

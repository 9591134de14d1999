"""Verdicts on the windows of a real log, for real versions."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from contract.monitoring import Monitoring
from contract.schema import DataContract
from local.stack import Stack
from penguins.data.dataset import Dataset
from penguins.monitoring import report, verdicts
from penguins.monitoring.judging import Judge
from penguins.monitoring.spans import Span, latest_span
from penguins.monitoring.verdicts import WindowVerdict
from penguins.promotion import decisions
from penguins.training.tracking import client
from tests.penguins import ours
from tests.penguins.conftest import Connect, made_up_model, version_of
from tests.penguins.monitoring.conftest import Answer, Say, superuser
from tests.shipper.segments import NOW

HOUR = timedelta(hours=1)


def around(hours: float = 0) -> Span:
    """Return the window with the answers of some hours ago: a whole hour."""
    return latest_span(NOW - timedelta(hours=hours) + HOUR, HOUR)


def judge(connection: Connection[Any], span: Span) -> WindowVerdict:
    (found,) = Judge(connection, ours.contract()).judge(span)
    (kept,) = verdicts.of_window(connection, ours.contract().name, span)
    assert (kept.verdict, kept.rows, kept.live) == (found.verdict, found.rows, found.live)
    return kept


def test_windows_of_all_kinds_have_their_verdicts(answer: Answer, data: Dataset, log: Connection[Any]) -> None:
    """Of a steady one, one that moved, one with a constant feature, one without any value, and few rows."""
    rows = data.seen(data.holdout).to_numpy()
    labels = [each % 3 for each in range(len(rows))]
    answer(rows, labels=labels)
    stable = judge(log, around())
    assert (stable.verdict, stable.rows, stable.features, stable.times_judged) == ("stable", len(rows), [], 1)
    assert stable.predictions == {name: labels.count(place) for place, name in enumerate(data.contract.classes)}
    assert 0 < stable.estimate["accuracy"]["low"] <= stable.estimate["accuracy"]["value"] <= 1
    mass = stable.numbers["features"][3]
    assert (mass["name"], mass["kind"], mass["unit"], mass["missing"]["window"]) == ("body_mass_g", "number", "g", 0)
    assert sum(mass["counts"]["window"]) == len(rows)
    assert sum(mass["counts"]["reference"]) == len(data.train)
    assert len(mass["counts"]["edges"]) + 1 == len(mass["counts"]["window"]) == len(mass["counts"]["reference"])
    assert 0 < stable.numbers["domain"]["auc"] < 0.7

    moved = rows.copy()
    moved[:, 3] += 1500
    answer(moved, hours=2)
    drifted = judge(log, around(2))
    assert (drifted.verdict, drifted.features) == ("drifted", ["body_mass_g"])
    assert drifted.numbers["features"][3]["aspects"]["values"]["drifted"]
    assert not drifted.numbers["features"][0]["aspects"]["values"]["drifted"]

    constant = rows.copy()
    constant[:, 0] = 40
    answer(constant, hours=4)
    assert judge(log, around(4)).features[0] == "bill_length_mm"

    answer(np.full_like(rows, np.nan), hours=6)
    lost = judge(log, around(6))
    assert lost.verdict == "drifted"
    assert set(data.contract.feature_names) <= set(lost.features)
    assert {each["missing"]["window"] for each in lost.numbers["features"]} == {1.0}

    one_class = data.seen(data.holdout[data.labels[data.holdout] == 0]).to_numpy()
    answer(np.repeat(one_class, 3, axis=0), hours=8)
    only = judge(log, around(8))
    assert (only.verdict, list(only.predictions)) == ("drifted", ["Adelie"])

    for hours, count in ((10, 29), (12, 1)):
        answer(rows[:count], hours=hours)
        few = judge(log, around(hours))
        assert (few.verdict, few.rows, few.features) == ("too few", count, [])
        assert "are too few" in few.estimate["refusal"]
        assert few.numbers["detectable"] is None or few.numbers["detectable"] > 1


def test_a_window_without_traffic_is_about_the_version_in_production(
    version: ModelVersion, log: Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert report.judge(log, ours.contract(), around(3)) == []
    assert f"no predictions, and nothing of {version.name} is in Production" in caplog.text
    decisions.promote(log, version, "it is better", "ada")
    now = latest_span(datetime.now(UTC) + HOUR, HOUR)
    nothing = judge(log, now)
    assert (nothing.version, nothing.rows, nothing.verdict) == (version.version, 0, "too few")
    assert verdicts.of_window(log, ours.contract().name, around(3)) == []


def test_each_version_that_answered_has_a_verdict(
    answer: Answer, version: ModelVersion, data: Dataset, log: Connection[Any], tmp_path: Path
) -> None:
    rows = data.seen(data.holdout).to_numpy()
    without = version_of(made_up_model(tmp_path))
    for number in (version.version, without.version, "999"):
        answer(rows, version=number)
    Judge(log, ours.contract()).judge(around())
    found = {each.version: each for each in verdicts.of_window(log, ours.contract().name, around())}
    assert found[version.version].verdict == "stable"
    assert found[without.version].verdict == found["999"].verdict == "no reference"
    assert "without a reference" in found[without.version].estimate["refusal"]
    assert "isn't in MLflow any more" in found["999"].numbers["reason"]
    assert found["999"].predictions == {"Adelie": len(rows)}
    assert found["999"].rows == len(rows)


def test_the_truth_is_counted_also_late(
    answer: Answer, say: Say, data: Dataset, log: Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    contract, names = ours.contract(), data.contract.classes
    rows = data.seen(data.holdout).to_numpy()[:40]
    ids = answer(rows, hours=2)
    say(ids[:10], [names[0]] * 8 + [names[1]] * 2)
    known = judge(log, around(2))
    assert (known.live["labelled"], known.live["coverage"]) == (10, 0.25)
    accuracy = known.live["accuracy"]
    assert (accuracy["value"], accuracy["right"], accuracy["rows"]) == (0.8, 8, 10)
    assert (accuracy["low"], accuracy["high"]) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # Wilson's
    assert known.live["recalls"][names[0]]["value"] == 1
    assert known.live["recalls"][names[1]]["value"] == 0
    assert known.live["confusion"] == {names[0]: {names[0]: 8}, names[1]: {names[0]: 2}}
    assert known.live["delay_seconds"] == pytest.approx(7200, abs=1)

    assert report.judge(log, contract, around(1)) == []
    say(ids[10:], [names[2]] * 30)
    assert report.judge(log, contract, around()) == []  # nothing answered in it, and late truth is no reason
    (late,) = verdicts.of_window(log, contract.name, around(2))
    assert (late.live["labelled"], late.times_judged, late.verdict) == (40, 2, known.verdict)
    assert late.judged_at is not None
    assert known.judged_at is not None
    assert late.judged_at > known.judged_at
    assert "accuracy by the truth about 40 rows (100%)" in caplog.text
    report.judge(log, contract, around())
    assert verdicts.of_window(log, contract.name, around(2)) == [late]  # nothing new, nothing changed


def test_windows_that_nobody_judged_are_judged_with_the_next(
    answer: Answer, data: Dataset, log: Connection[Any]
) -> None:
    contract, rows = ours.contract(), data.seen(data.holdout).to_numpy()
    moved = rows.copy()
    moved[:, 3] += 1500
    for hours, values in ((1, rows), (3, moved), (60, moved)):
        answer(values, hours=hours)
    answer(rows)
    assert report.judge(log, contract, around()) == []  # those of the past are no reason for an alarm
    found = {each.window_start: each.verdict for each in verdicts.latest(log, contract.name, 10)}
    assert found == {around().start: "stable", around(1).start: "stable", around(3).start: "drifted"}
    assert [each.times_judged for each in verdicts.latest(log, contract.name, 10)] == [1, 1, 1]


def test_windows_of_another_length_count_no_row_twice(
    answer: Answer, say: Say, data: Dataset, log: Connection[Any]
) -> None:
    """Or the page would show an interval for twice as much truth as there is."""
    rows, name = data.seen(data.holdout).to_numpy(), ours.contract().name
    say(answer(rows, hours=2), ["Adelie"] * len(rows))
    answer(rows, hours=4)
    judge(log, around(2))
    short = ours.contract().model_copy(update={"monitoring": Monitoring(window="15min")})
    report.judge(log, short, latest_span(NOW, short.monitoring.window_length))
    found = verdicts.latest(log, name, 10)
    assert [each.live["labelled"] for each in found] == [len(rows), 0]
    assert [each.span.length for each in found] == [HOUR, HOUR / 4]


def test_what_was_judged_on_rows_that_were_dropped_stays(
    answer: Answer, say: Say, version: ModelVersion, data: Dataset, log: Connection[Any], stack: Stack
) -> None:
    """As for a task that is cleared, or truth that comes, after the time that the log keeps rows."""
    contract, rows = ours.contract(), data.seen(data.holdout).to_numpy()
    decisions.promote(log, version, "it is better", "ada")
    ids = answer(rows, hours=2)
    say(ids, ["Adelie"] * len(rows))
    known = judge(log, around(2))
    with superuser(stack) as owner:
        owner.execute("DELETE FROM log.predictions WHERE prediction_id = ANY(%s)", [ids[10:]])
        say(ids[:5], ["Gentoo"] * 5)
        Judge(log, contract).judge_late_truth()
        Judge(log, contract).judge(around(2))
        assert verdicts.of_window(log, contract.name, around(2)) == [known]
        owner.execute("DELETE FROM log.predictions")
    assert Judge(log, contract).judge(around(2)) == [known]
    assert verdicts.of_window(log, contract.name, around(2)) == [known]


def test_the_same_window_again_is_one_verdict(
    answer: Answer, data: Dataset, log: Connection[Any], stack: Stack
) -> None:
    rows = data.seen(data.holdout).to_numpy()
    answer(rows)
    judge(log, around())
    with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as other:
        again = judge(other, around())
    assert (again.times_judged, again.verdict) == (2, "stable")


def test_a_verdict_is_whole_or_not_there(
    answer: Answer, version: ModelVersion, data: Dataset, log: Connection[Any], stack: Stack
) -> None:
    """PostgreSQL ends the session after the first of two versions was written."""
    for number in (version.version, "999"):
        answer(data.seen(data.holdout).to_numpy(), version=number)
    with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as doomed:
        judging = Judge(_Ending(doomed, log), ours.contract())  # type: ignore[arg-type]
        with pytest.raises(psycopg.OperationalError):
            judging.judge(around())
    assert verdicts.of_window(log, ours.contract().name, around()) == []
    Judge(log, ours.contract()).judge(around())
    assert len(verdicts.of_window(log, ours.contract().name, around())) == 2


def test_two_monitoring_runs_at_once_write_each_verdict_once(log: Connection[Any], connect: Connect) -> None:
    found = [WindowVerdict("penguins", ours.model(), f"{n}", *around(), n, {}, "stable") for n in range(40)]
    runs, start = 4, threading.Barrier(4)

    def write(place: int) -> None:
        with connect() as own:
            for _ in range(5):
                start.wait(30)
                verdicts.write(own, found if place % 2 else found[::-1])

    with ThreadPoolExecutor(runs) as pool:
        list(pool.map(write, range(runs)))
    kept = verdicts.of_window(log, "penguins", around())
    assert {(each.version, each.times_judged) for each in kept} == {(f"{n}", 5 * runs) for n in range(40)}


class _Ending:
    """A connection whose session the server ends at the second verdict."""

    def __init__(self, connection: Connection[Any], other: Connection[Any]) -> None:
        self._connection, self._other, self._written = connection, other, 0

    def execute(self, statement: Any, values: Sequence[Any] | None = None) -> Any:
        if "INSERT INTO monitoring.verdicts" in str(statement):
            self._written += 1
            if self._written == 2:
                self._other.execute("SELECT pg_terminate_backend(%s, 5000)", [self._connection.info.backend_pid])
        return self._connection.execute(statement, values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def test_files_that_were_changed_are_no_reference(
    answer: Answer, version: ModelVersion, data: Dataset, log: Connection[Any]
) -> None:
    answer(data.seen(data.holdout).to_numpy())
    client().set_model_version_tag(version.name, version.version, "signature", "forged")
    found = judge(log, around())
    assert (found.verdict, found.rows) == ("no reference", len(data.holdout))
    assert "isn't opened" in found.estimate["refusal"]


def test_the_report_of_the_task_says_what_was_found(
    answer: Answer, data: Dataset, log: Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rows = data.seen(data.holdout).to_numpy(copy=True)
    rows[:, 3] += 1500
    answer(rows)
    contract: DataContract = ours.contract()
    (reason,) = report.judge(log, contract, around())
    assert (reason.kind, reason.text.split(" drifted")[0]) == ("drift", "body_mass_g")
    assert f"{len(rows)} rows, drifted: body_mass_g" in caplog.text
    assert "body_mass_g (values) p = " in caplog.text
    assert "no estimate of the accuracy: " in caplog.text
    assert "no truth yet" in caplog.text

"""The page's data about monitoring."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import Connection

from contract.monitoring import Monitoring
from local.stack import Stack
from penguins.errors import UserError
from penguins.monitoring import alarms, shadow_looks, verdicts
from penguins.monitoring.shadow_looks import Look
from penguins.monitoring.spans import Span, latest_span
from penguins.monitoring.verdicts import WindowVerdict
from penguins.ui.monitoring import monitoring, window
from tests.penguins import ours
from tests.penguins.monitoring.conftest import log, superuser
from tests.penguins.ui.conftest import client
from tests.shipper.segments import WINE

__all__ = ["log"]

pytestmark = pytest.mark.usefixtures("mlflow")

HOUR = timedelta(hours=1)
SHARE = {"value": 0.9, "low": 0.8, "high": 0.95}


def judged(hours: int, verdict: verdicts.Word = "stable", length: timedelta = HOUR, **changes: Any) -> WindowVerdict:
    """Return a verdict on the window that ended so many windows before the last full one."""
    last = latest_span(datetime.now(UTC), length)
    span = Span(last.start - hours * length, last.end - hours * length)
    numbers = {"features": [{"name": "mass", "missing": {"reference": 0.0, "window": 0.25}, "aspects": {}}]}
    values: dict[str, Any] = {
        "contract": "penguins",
        "model": ours.model(),
        "version": "3",
        "features": ["mass"] if verdict == "drifted" else [],
        "numbers": numbers,
        "outside": 10,
        "estimate": {"accuracy": SHARE},
        "live": {"labelled": 40, "coverage": 0.4, "accuracy": {**SHARE, "right": 36, "rows": 40}, "recalls": {}},
    }
    rows = {"Adelie": 60, "Gentoo": 40}
    own = {"window_start": span.start, "window_end": span.end, "rows": 100, "predictions": rows, "verdict": verdict}
    return WindowVerdict(**(own | values | changes))


def add_traffic(stack: Stack, model: str, hours_ago: int, rows: int, outside: int, missing: int) -> None:
    """Add predictions of the first class to the sums, as the shipper does."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - hours_ago * HOUR
    with psycopg.connect(stack.config.database_url("shipper"), autocommit=True) as shipper:
        shipper.execute(
            """SELECT log.add_traffic('wine', %s, '3', %s, %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s,
                   %s::real[])""",
            [model, [hour], [WINE.classes[0]], [rows], [outside], [missing], [1.0], [1.0]],
        )


@pytest.fixture
def sums_only(stack: Stack, log: Connection[Any]) -> Iterator[Connection[Any]]:
    """A session whose role may read verdicts, sums and the trail, and not the rows of the log."""
    assert log
    with superuser(stack) as connection:
        connection.execute(
            """CREATE ROLE sums_only; GRANT USAGE ON SCHEMA monitoring, log, audit TO sums_only;
               GRANT SELECT ON ALL TABLES IN SCHEMA monitoring, audit TO sums_only;
               GRANT SELECT ON log.traffic TO sums_only; SET ROLE sums_only"""
        )
        try:
            yield connection
        finally:
            connection.execute("RESET ROLE; DROP OWNED BY sums_only; DROP ROLE sums_only")


def test_the_page_reads_no_row_of_the_log(stack: Stack, sums_only: Connection[Any], log: Connection[Any]) -> None:
    add_traffic(stack, ours.model(), 1, 100, 10, 40)
    verdicts.write(log, [judged(0), judged(1, "drifted")])
    for hours in (1, 24, 168, 720, 2160):
        shown = monitoring(sums_only, ours.contract(), hours)
        assert sum(each.windows for each in shown.judged) == 2 if hours > 1 else shown.judged
        assert hours == 1 or sum(each.rows for each in shown.traffic) == 100
    assert window(sums_only, "penguins", *judged(0).span, "3").numbers["features"]
    short = ours.contract().model_copy(update={"monitoring": Monitoring(window="20s")})
    monitoring(sums_only, short, 1)
    for table in ("predictions", "feedback", "truth"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            sums_only.execute(f"SELECT FROM log.{table} LIMIT 1")


def test_windows_are_summed_up_by_version(log: Connection[Any]) -> None:
    second = judged(1, version="4", live={}, estimate={"refusal": "fewer than 30 rows"})
    verdicts.write(log, [judged(0), judged(1, "drifted"), second, judged(2, "too few"), judged(24 * 3)])
    shown = monitoring(log, ours.contract(), 24)
    assert [(each.version, each.judged, each.drifted, each.labelled) for each in shown.judged] == [
        ("3", 0, 0, 40),
        ("3", 1, 1, 40),
        ("4", 1, 0, 0),
        ("3", 1, 0, 40),
    ]
    known, unknown = shown.judged[1], shown.judged[2]
    assert known.live
    assert known.estimate
    assert (round(known.live.value, 6), round(known.estimate.low, 6)) == (0.9, 0.8)
    assert known.live.low < 0.9 < known.live.high
    assert (unknown.live, unknown.estimate) == (None, None)
    assert [(drift.name, drift.at, drift.windows) for drift in shown.drifts] == [("mass", known.at, 1)]
    longer = monitoring(log, ours.contract(), 2160)
    assert (longer.seconds, longer.buckets) == (86_400, 91)
    assert sum(each.rows for each in longer.judged) == 500
    assert [(each.version, each.verdict) for each in longer.windows[:2]] == [("3", "stable"), ("3", "drifted")]
    assert longer.since < longer.judged[0].at


def test_traffic_is_that_of_the_log_and_within_an_hour_that_of_windows(stack: Stack, log: Connection[Any]) -> None:
    contract = ours.contract()
    add_traffic(stack, ours.model(), 2, 100, 10, len(contract.features) * 25)
    (hour,) = monitoring(log, contract, 24).traffic
    assert (hour.rows, hour.outside, hour.missing) == (100, 10, 0.25)
    hidden = [column.model_copy(update={"logged": False}) for column in contract.features[:1]]
    others = [column for column in contract.columns if column.name != hidden[0].name]
    partly = contract.model_copy(update={"columns": (*hidden, *others)})
    logged = len(contract.features) - 1
    (hour,) = monitoring(log, partly, 24).traffic
    assert hour.missing == pytest.approx((len(contract.features) * 25 - 100) / (100 * logged))
    short = contract.model_copy(update={"monitoring": Monitoring(window="20s")})
    verdicts.write(log, [judged(1, length=timedelta(seconds=20), version=version) for version in ("3", "4")])
    (minute,) = monitoring(log, short, 1).traffic
    assert (minute.classes, minute.outside) == ({"Adelie": 120, "Gentoo": 80}, 20)
    assert minute.missing == pytest.approx(0.25 / len(contract.features))
    verdicts.write(log, [judged(1, length=timedelta(seconds=20), numbers={"reason": "no reference"})])
    (minute,) = monitoring(log, short, 1).traffic
    assert minute.missing is None


def test_an_alarm_is_shown_with_what_became_of_it(log: Connection[Any]) -> None:
    contract, verdict = ours.contract(), judged(0, "drifted")
    verdicts.write(log, [verdict])
    reason = alarms.Reason("drift", "3", "mass drifted")
    (raised,) = alarms.raise_alarms(log, contract, verdict.span, [reason]).new
    (shown,) = monitoring(log, contract, 1).alarms
    assert (shown.reason, shown.asked, shown.run_id, shown.made, shown.outcome) == (
        "mass drifted",
        True,
        None,
        None,
        None,
    )
    alarms.follow(log, contract, [raised.id], "asset_triggered__1")
    log.execute(
        """INSERT INTO audit.promotions (model, who, action, to_version, reason, numbers, dag_run_id)
           VALUES (%s, 'the gate', 'refuse', '4', 'not better', %s, 'asset_triggered__1')""",
        [ours.model(), json.dumps({})],
    )
    alarms.settle(log, contract)
    (shown,) = monitoring(log, contract, 1).alarms
    assert (shown.run_id, shown.made) == ("asset_triggered__1", "4")
    assert shown.outcome == "version 4 was not promoted: not better"


def test_the_shadow_is_shown_by_the_latest_look_at_it(log: Connection[Any]) -> None:
    assert monitoring(log, ours.contract(), 1).shadow is None
    log.execute(
        """WITH entry AS (
               INSERT INTO audit.promotions (model, who, action, from_version, to_version, reason, numbers)
               VALUES (%s, 'the gate', 'shadow', '3', '4', 'shadowing: 100 predictions are required', '{}') RETURNING id
           ) INSERT INTO audit.settled (promotion) SELECT id FROM entry""",
        [ours.model()],
    )
    begun = monitoring(log, ours.contract(), 1).shadow
    assert begun
    assert (begun.version, begun.champion, begun.now, begun.looked_at, begun.numbers) == ("4", "3", True, None, {})
    assert begun.reason == "shadowing: 100 predictions are required"
    numbers = {"rows": 99, "answers": {"Adelie": {"Adelie": 99}}}
    shadow_looks.keep(log, "penguins", Look("4", "3", begun.since, "waiting", "99 of 100", numbers))
    looked = monitoring(log, ours.contract(), 1).shadow
    assert looked
    assert (looked.outcome, looked.reason, looked.numbers, looked.now) == ("waiting", "99 of 100", numbers, True)
    before = Look("2", "1", begun.since - HOUR, "refused", "worse", {})
    shadow_looks.keep(log, "wine", before)
    assert monitoring(log, ours.contract(), 1).shadow == looked


def test_the_answer_is_about_the_version_in_production(log: Connection[Any], sums_only: Connection[Any]) -> None:
    numbers = json.dumps({"accuracy": 0.95, "rows": 200})
    log.execute(
        """INSERT INTO audit.promotions (model, who, action, to_version, reason, numbers)
           VALUES (%s, 'the gate', 'promote', '3', 'better', %s)""",
        [ours.model(), numbers],
    )
    of_another = judged(0, version="2", estimate={"refusal": "fewer than 30 rows"})
    verdicts.write(log, [of_another, judged(0, "drifted"), judged(1, live={})])
    shown = monitoring(sums_only, ours.contract(), 1).trust
    assert (shown.version, shown.level) == ("3", "doubtful")
    assert "in mass. It is right on 90.0% (76.9% to 96.0%) of the 40 rows of the last 7 days" in shown.sentence
    (alarm,) = alarms.raise_alarms(log, ours.contract(), judged(0).span, [alarms.Reason("drift", "3", "mass")]).new
    alarms.follow(log, ours.contract(), [alarm.id], "asset_triggered__2")
    shown = monitoring(sums_only, ours.contract(), 1).trust
    assert shown.sentence.endswith(f" Alarm {alarm.id} has asked for a training, which hasn't ended.")
    log.execute(
        """INSERT INTO audit.promotions (model, who, action, from_version, to_version, reason, numbers, dag_run_id)
           VALUES (%s, 'the gate', 'shadow', '3', '4', 'shadowing', '{}', 'asset_triggered__2')""",
        [ours.model()],
    )
    shown = monitoring(sums_only, ours.contract(), 1).trust
    assert shown.sentence.endswith("asked for a training, whose version answers in the shadow first.")
    floor = ours.contract().model_copy(update={"monitoring": Monitoring(accuracy_floor=0.99)})
    assert monitoring(sums_only, floor, 1).trust.sentence.startswith("No: version 3 is right on 90.0%")


def test_what_nobody_judged_is_said(log: Connection[Any]) -> None:
    shown = monitoring(log, ours.contract(), 24)
    assert (shown.trust.level, shown.traffic, shown.windows, shown.alarms) == ("unknown", [], [], [])
    assert shown.trust.sentence == "Nothing is in Production, so there is nothing to trust."
    with pytest.raises(UserError, match="was not judged for version 3"):
        window(log, "penguins", *judged(0).span, "3")
    with pytest.raises(UserError, match=r"5 hours can't be shown. The page shows 1, 24, 168, 720, 2160."):
        monitoring(log, ours.contract(), 5)


def test_a_viewer_reads_it_and_nobody_without_a_login(airflow: str, log: Connection[Any]) -> None:
    verdict = judged(0, "drifted", contract="wine", model="wine")
    verdicts.write(log, [verdict])
    span = {"start": verdict.window_start.isoformat(), "end": verdict.window_end.isoformat(), "version": "3"}
    with client(airflow, "vera") as vera:
        shown = vera.get("api/monitoring?contract=wine").json()
        assert (shown["model"], shown["window"], shown["floor"]) == ("wine", "1h", None)
        assert [each["verdict"] for each in shown["windows"]] == ["drifted"]
        assert shown["links"]["runs"] == "../dags/wine_training/runs/"
        found = vera.get("api/monitoring/window", params={"contract": "wine", **span}).json()
        assert (found["drifted"], found["estimate"]["accuracy"]) == (["mass"], SHARE)
        assert vera.get("api/monitoring/window", params={"contract": "wine", **span, "version": "9"}).status_code == 409
        assert vera.get("api/monitoring/window?contract=wine&start=x&end=y&version=1").status_code == 422
    with httpx.Client(base_url=f"{airflow}/penguins/", timeout=60) as anybody:
        assert anybody.get("api/monitoring?contract=wine").status_code == 401
        assert anybody.get("api/monitoring/window", params={"contract": "wine", **span}).status_code == 401
        assert "default-src 'none'" in anybody.get("monitoring").headers["Content-Security-Policy"]

"""Gauges for Prometheus: what they say, in a text that its own parser reads."""

from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from psycopg import Connection

from local.stack import Stack
from penguins.monitoring import alarms, gauges, verdicts
from penguins.monitoring.spans import Span
from penguins.monitoring.verdicts import WindowVerdict
from tests.penguins import ours
from tests.penguins.monitoring.conftest import superuser
from tests.penguins.monitoring.test_alarms import DRIFT

DAY = datetime(2026, 3, 1, tzinfo=UTC)


def read(connection: Connection[Any]) -> dict[tuple[str, ...], float]:
    """Return the samples by name and values of the labels."""
    families = text_string_to_metric_families(gauges.exposition(connection, ["penguins", "wine"]))
    samples = [sample for family in families for sample in family.samples]
    return {(each.name.removeprefix("penguins_monitoring_"), *each.labels.values()): each.value for each in samples}


def test_the_latest_window_and_the_alarms_are_told(log: Connection[Any], stack: Stack) -> None:
    assert read(log) == {}
    odd = 'a "model"\\'
    for hour, version in ((0, "1"), (1, "1"), (1, "2")):
        span = Span(DAY + timedelta(hours=hour), DAY + timedelta(hours=hour + 1))
        live = {"labelled": 5, "accuracy": {"value": 0.6, "low": 0.2, "high": 0.9}} if version == "2" else {}
        estimate = {"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95}} if version == "1" else {"refusal": "few"}
        word = "drifted" if version == "2" else "stable"
        found = WindowVerdict(
            "penguins", odd, version, *span, 10 * (hour + 1), {}, word, ["a", "b"] if version == "2" else [],
            numbers={"features": [{"name": "a"}, {"name": "c"}]} if version == "2" else {},
            outside=3, estimate=estimate, live=live,
        )  # fmt: skip
        verdicts.write(log, [found])
    alarms.raise_alarms(log, ours.contract(), span, [DRIFT])
    with superuser(stack) as connection:
        connection.execute("SELECT log.note_watermark(%s, %s)", ["0" * 32, DAY])
    one, two = ("penguins", odd, "1"), ("penguins", odd, "2")
    end = (DAY + timedelta(hours=2)).timestamp()
    now = read(log)
    assert datetime.now(UTC).timestamp() - now.pop(("alarm_raised_timestamp_seconds", "penguins", "drift")) < 60
    assert now == {
        ("log_complete_timestamp_seconds", "00000000-0000-0000-0000-000000000000"): DAY.timestamp(),
        **{("window_end_timestamp_seconds", *each): end for each in (one, two)},
        **{("window_seconds", *each): 3600 for each in (one, two)},
        **{("window_rows", *each): 20 for each in (one, two)},
        **{("window_outside_rows", *each): 3 for each in (one, two)},
        ("drifted", *one): 0,
        ("drifted", *two): 1,
        ("drifted_features", *one): 0,
        ("drifted_features", *two): 2,
        ("feature_drifted", *two, "a"): 1,
        ("feature_drifted", *two, "c"): 0,
        ("estimated_accuracy", *one): 0.9,
        ("live_accuracy", *two): 0.6,
        ("live_rows", *one): 0,
        ("live_rows", *two): 5,
        ("alarms_total", "penguins", "drift"): 1,
        ("alarms_open", "penguins", "drift"): 1,
    }


def test_the_latest_backup_is_told(log: Connection[Any]) -> None:
    for days, size in ((0, 7), (1, 5_000_000_000), (-1, 8)):
        entry = [DAY + timedelta(days=days), size]
        log.execute("INSERT INTO monitoring.backups (at, bytes, with_keys) VALUES (%s, %s, false)", entry)
    latest = (DAY + timedelta(days=1)).timestamp()
    assert read(log) == {("backup_timestamp_seconds",): latest, ("backup_bytes",): 5_000_000_000}


def test_a_contract_and_a_folder_that_are_gone_are_not_told_of(log: Connection[Any], stack: Stack) -> None:
    """Or the alert about their silence would never end."""
    for name in ("wine", "deleted"):
        found = WindowVerdict(name, "m", "1", DAY, DAY + timedelta(hours=1), 0, {}, "too few")
        verdicts.write(log, [found])
        contract = ours.contract().model_copy(update={"name": name})
        alarms.raise_alarms(log, contract, found.span, [DRIFT])
    with superuser(stack) as connection:
        for number, days in ((1, 0), (2, 2)):
            connection.execute(
                "INSERT INTO log.watermarks VALUES (%s, %s, now() - %s)", [f"{number:032}", DAY, timedelta(days)]
            )
    found = read(log)
    assert {labels[0] for _, *labels in found} == {"wine", "00000000-0000-0000-0000-000000000001"}

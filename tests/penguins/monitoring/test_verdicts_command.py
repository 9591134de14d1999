"""`make verdicts`, and when a window can be judged."""

import argparse
import io
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import Connection
from rich.console import Console

from local.stack import Stack
from penguins.errors import UserError
from penguins.monitoring import alarms, spans, verdicts, verdicts_command
from penguins.monitoring.spans import Span, latest_span
from penguins.monitoring.verdicts import WindowVerdict
from tests.penguins import ours
from tests.penguins.monitoring.conftest import superuser
from tests.penguins.monitoring.test_alarms import DRIFT

DAY = datetime(2026, 3, 1, tzinfo=UTC)


def show(connection: Connection[Any], limit: str = "") -> str:
    out = Console(file=io.StringIO(), width=220, markup=False, emoji=False, highlight=False)
    verdicts_command.show(connection, out, ours.contract(), argparse.Namespace(limit=limit))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_verdicts_and_alarms_are_shown_the_latest_first(log: Connection[Any]) -> None:
    window = ours.contract().monitoring.window  # another one while the process has the whole stack's environment
    assert f"No window of penguins was judged yet: the DAG penguins_monitoring judges one every {window}" in show(log)
    accuracy = {"value": 0.5, "low": 0.4, "high": 0.6}
    for hour in range(3):
        span = Span(DAY + timedelta(hours=hour), DAY + timedelta(hours=hour + 1))
        found = WindowVerdict("penguins", ours.model(), "7", *span, 1234, {"Adelie": 1234}, "stable")
        verdicts.write(log, [found])
    assert "No alarm was ever raised." in show(log)
    drifted = WindowVerdict(
        "penguins",
        ours.model(),
        "7",
        *span,
        1234,
        {"Adelie": 1234},
        "drifted",
        ["body\x1b_mass"],
        estimate={"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95}},
        live={"accuracy": accuracy, "coverage": 0.25},
    )
    verdicts.write(log, [drifted])
    (alarm,) = alarms.raise_alarms(log, ours.contract(), span, [DRIFT]).new
    shown = show(log)
    assert shown.index("02:00:00 to 03:00:00") < shown.index("00:00:00 to 01:00:00")
    (line,) = (line for line in shown.splitlines() if "2026-03-01 02:00:00" in line)
    for part in ("7", "1,234", "drifted", "90.0% (80.0% to 95.0%)", "50.0% (40.0% to 60.0%)", "25%"):
        assert part in line
    assert "\x1b" not in shown
    assert "a training was asked for" in shown
    alarms.follow(log, ours.contract(), [alarm.id], "asset_triggered__1")
    assert "asset_triggered__1 trains" in show(log)
    assert "00:00:00 to 01:00:00" not in show(log, limit="2")
    day = WindowVerdict("penguins", ours.model(), "7", DAY, DAY + timedelta(days=1), 9, {}, "too few")
    verdicts.write(log, [day])
    assert "2026-03-01 00:00:00 to 2026-03-02 00:00:00" in show(log)
    with pytest.raises(UserError, match="LIMIT=many isn't a number from 1 to 10000"):
        show(log, limit="many")


@pytest.mark.parametrize(
    ("length", "start"), [("1h", "13:00:00"), ("20s", "14:25:20"), ("15min", "14:00:00"), ("1d", "00:00:00")]
)
def test_windows_begin_at_multiples_of_their_length(length: str, start: str) -> None:
    monitoring = ours.contract().monitoring.model_copy(update={"window": length})
    until = DAY.replace(hour=14, minute=25, second=59 if length != "20s" else 41)
    found = latest_span(until, monitoring.window_length)
    assert f"{found.start:%H:%M:%S}" == start
    assert found.end <= until < found.end + found.length
    assert latest_span(found.end, monitoring.window_length) == found


def test_a_window_waits_for_the_log(log: Connection[Any], stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    span = Span(DAY, DAY + timedelta(hours=1))
    assert spans.look(log, span)  # nothing was ever logged
    note = "INSERT INTO log.watermarks (spool, complete_until, noted_at) VALUES (gen_random_uuid(), %s, %s)"
    with superuser(stack) as connection:
        connection.execute("INSERT INTO log.segments (name, kind, rows) VALUES ('one', 'predictions', 1)")
        assert not spans.look(log, span)  # the shipper has noted nothing yet
        assert "complete until an unknown time UTC" in caplog.text
        connection.execute(note, [span.end - timedelta(seconds=1), DAY])
        assert not spans.look(log, span)
        assert "complete until 2026-03-01 00:59:59 UTC, and the window is 2026-03-01 00:00:00 to" in caplog.text
        connection.execute(note, [span.end, DAY + timedelta(hours=3)])
        assert not spans.look(log, span)  # the other folder may come back
        connection.execute(
            "UPDATE log.watermarks SET noted_at = noted_at + interval '2 days' WHERE complete_until = %s", [span.end]
        )
        assert spans.look(log, span)

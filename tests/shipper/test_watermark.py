"""The watermark: the time before which the log is complete."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contract.segments import OPEN, PART, READY, SegmentName
from shipper.spool import SLACK_SECONDS, Spool
from tests.shipper.conftest import wait_for, waiting
from tests.shipper.segments import header, predictions, truth
from tests.shipper.segments import lines as lines_of

SLACK = timedelta(seconds=SLACK_SECONDS)


def begun(ago: float, kind: str = "predictions") -> str:
    """Return the name of a segment that was begun some seconds ago."""
    at = datetime.now(UTC) - timedelta(seconds=ago)
    return str(SegmentName(kind, int(at.timestamp() * 1000), "0123456789abcdef", 0))  # type: ignore[arg-type]


def seconds_behind(spool: Spool) -> float:
    return (datetime.now(UTC) - SLACK - spool.complete_until()).total_seconds()


def test_an_empty_folder_is_complete_but_for_what_is_being_written(tmp_path: Path) -> None:
    assert seconds_behind(Spool(tmp_path)) == pytest.approx(0, abs=1)


@pytest.mark.parametrize("part", [OPEN, READY])
def test_a_segment_of_predictions_holds_it_back(tmp_path: Path, part: str) -> None:
    spool = Spool(tmp_path)
    for ago in (20, 60):
        (tmp_path / part / begun(ago)).touch()
    assert seconds_behind(spool) == pytest.approx(60, abs=1)


def test_a_table_that_is_being_answered_holds_it_back(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    (tmp_path / OPEN / f"{begun(30)}{PART}").touch()
    assert seconds_behind(spool) == pytest.approx(30, abs=1)


def test_truth_and_events_and_other_files_do_not(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for name in (begun(30, "feedback"), begun(30, "events"), "another"):
        (tmp_path / READY / name).touch()
    assert seconds_behind(spool) == pytest.approx(0, abs=1)


def test_a_folder_keeps_its_id(tmp_path: Path) -> None:
    first = Spool(tmp_path).id
    assert Spool(tmp_path).id == first
    (tmp_path / "counters" / "spool.id").write_text("")  # the disk was full
    second = Spool(tmp_path).id
    assert second != first
    assert Spool(tmp_path).id == second


def test_it_is_noted_once_the_rows_have_arrived(connection, folder, shipping) -> None:
    started = datetime.now(UTC)
    lines_of(folder, "feedback", [truth()])
    predictions(folder, head=header(created_at=started))
    spool = Spool(folder)
    assert spool.complete_until() <= started
    os.close(spool._file)  # the lock
    with shipping():
        wait_for(lambda: connection.execute("SELECT FROM log.watermarks WHERE spool = %s", [spool.id]).rowcount)
        assert not waiting(folder)
        found = connection.execute("SELECT complete_until FROM log.watermarks WHERE spool = %s", [spool.id]).fetchone()
        assert found is not None
        assert abs(found[0] - (datetime.now(UTC) - SLACK)) < timedelta(seconds=10)


def test_it_never_goes_back(connection) -> None:
    for day in (2, 1):
        connection.execute("SELECT log.note_watermark(%s, %s)", ["0" * 32, datetime(2026, 1, day, tzinfo=UTC)])
    found = connection.execute("SELECT complete_until FROM log.watermarks WHERE spool = %s", ["0" * 32]).fetchone()
    assert found == (datetime(2026, 1, 2, tzinfo=UTC),)
    connection.execute("DELETE FROM log.watermarks")

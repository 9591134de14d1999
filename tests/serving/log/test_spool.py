"""The folder of the spool: how much is in it, and the way to the shipper."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from contract.counters import SERVICE, read_counters
from contract.lines import Event, decode_lines
from contract.segments import OPEN, READY
from serving.log.counts import path_of
from serving.log.log import PredictionLog
from serving.log.spool import FullError, Spool
from serving.log.writer import MAX_LINES
from serving.settings import Settings
from tests.serving.log.spool import lines


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool of 1,000 bytes."""
    made = Spool(tmp_path / "spool", 1000)
    made.prepare()
    return made


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than `tmp_path`."""
    with TemporaryDirectory(dir="/dev/shm") as folder:
        assert Path(folder).stat().st_dev != tmp_path.stat().st_dev
        yield Path(folder)


def segment(spool: Spool, size: int = 100) -> Path:
    """Write a segment."""
    path, file = spool.create("events")
    os.write(file, b"x" * size)
    os.close(file)
    return path


def test_what_is_in_the_folder_counts(spool: Spool) -> None:
    spool.release(segment(spool, 300))
    segment(spool, 200)
    (spool.folder / READY / "notes").write_text("x" * 10)
    assert spool.used_bytes() == 510
    assert spool.room() == 490
    assert spool.room(0.5) == -10
    spool.check_room(490)
    with pytest.raises(FullError, match="have reached SERVING_LOG_MAX_BYTES"):
        spool.check_room(491)
    with pytest.raises(FullError, match="have reached 50% of SERVING_LOG_MAX_BYTES"):
        spool.check_room(1, 0.5)
    size, age = spool.state()
    assert size == 510
    assert 0 <= age < 60


def test_a_folder_that_cant_be_read_has_no_room(spool: Spool) -> None:
    """Its size isn't known, and so much more could be in it."""
    (spool.folder / READY).rmdir()
    (spool.folder / READY).write_text("")
    with pytest.raises(NotADirectoryError):
        spool.check_room(1)
    assert spool.room() == 0
    assert spool.state() == (0, 0.0)


def test_the_oldest_segment_counts(spool: Spool) -> None:
    for age in (5, 60, 1):
        path = segment(spool)
        name = path.name.split("-")
        name[1] = f"{(time.time() - age) * 1000:013.0f}"
        path.rename(spool.folder / READY / "-".join(name))
    assert 59 < spool.state()[1] < 70


def test_segments_get_to_another_file_system(spool: Spool, elsewhere: Path) -> None:
    (spool.folder / READY).rmdir()
    (spool.folder / READY).symlink_to(elsewhere)
    path = segment(spool)
    spool.release(path)
    assert not path.exists()
    assert [(found.name, found.read_bytes()) for found in elsewhere.iterdir()] == [(path.name, b"x" * 100)]
    assert list((spool.folder / OPEN).iterdir()) == []


def test_a_segment_that_cant_be_copied_stays(spool: Spool, elsewhere: Path) -> None:
    (spool.folder / READY).rmdir()
    (spool.folder / READY).symlink_to(elsewhere)
    path = segment(spool)
    (elsewhere / f".{path.name}").mkdir()
    with pytest.raises(OSError, match="directory"):
        spool.release(path)
    assert path.read_bytes() == b"x" * 100
    assert not (elsewhere / path.name).exists()


def test_an_event_may_have_half_a_character(spool: Spool) -> None:
    """As a registry's answer may have; JSON can't."""
    log = PredictionLog(Settings(), spool.folder)
    log.event(event="refused", detail="\ud800 is odd")
    ((line,),) = [lines.payloads for lines in log._writer._lines]
    (event,) = decode_lines(Event, line)
    assert event.detail == "? is odd"


def test_rows_that_are_counted_while_the_counters_move_stay_counted(spool: Spool) -> None:
    log = PredictionLog(Settings(), spool.folder)
    log.count_dropped(1, "disk")
    before = log.counters.numbers

    class Moving:
        """Counters that are moved to their file between the look at a counter and its change."""

        def __getitem__(self, place: int) -> int:
            return before[place]

        def __setitem__(self, place: int, number: int) -> None:
            log.counters.numbers = before
            log.counters.attach()
            before[place] = number

    log.counters.numbers = Moving()  # type: ignore[assignment]
    log.count_dropped(1, "disk")
    log.count_dropped(1, "disk")
    assert read_counters(path_of(log.spool, log.spool.process), SERVICE)["recorded"] == 3


def test_events_that_wait_keep_their_order(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.write_text("")
    log = PredictionLog(Settings(), folder)
    log.start()
    for number in range(MAX_LINES - 10):
        log.event(event="refused", detail=number)
        time.sleep(0.0005)  # so that some are put while others are tried in vain
    folder.unlink()
    log.close()
    started, *refused, stopped = lines(folder, Event)
    assert (started.event, stopped.event) == ("started", "stopped")
    assert [event.detail for event in refused] == list(map(str, range(MAX_LINES - 10)))

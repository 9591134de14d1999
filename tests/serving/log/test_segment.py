"""A segment is rotated by size and by age, and written to the disk each second meanwhile."""

import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contract.segments import LinesHeader
from local.waiting import until
from serving.log import segment
from serving.log.segment import MAX_AGE_SECONDS, MAX_BYTES, OpenSegment
from serving.log.spool import Spool
from tests.serving.log.conftest import Start
from tests.serving.log.spool import segments

# Each line of the file names what was written to the disk.
SYNCS = """
import os, runpy, sys
syncs, sync = open(sys.argv[1], 'a', 1), os.fdatasync
def tell(file):
    print(os.path.basename(os.readlink(f'/proc/self/fd/{file}')), file=syncs)
    return sync(file)
os.fdatasync = tell
sys.argv[1:] = []
runpy.run_module('serving', run_name='__main__')
"""


def test_a_segment_is_due_by_size_and_by_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "spool", 10 * MAX_BYTES)
    spool.prepare()
    opened = OpenSegment(spool, LinesHeader(kind="events", created_at=datetime.now(UTC)))
    opened.append([b"x" * (MAX_BYTES // 2)])
    assert not opened.is_due
    opened.append([b"x" * (MAX_BYTES // 2)])
    assert opened.is_due
    opened.close()
    young = OpenSegment(spool, LinesHeader(kind="events", created_at=datetime.now(UTC)))
    assert not young.is_due
    monkeypatch.setattr(segment, "MAX_AGE_SECONDS", 0.0)
    assert young.is_due
    young.close()


@pytest.mark.programs
def test_an_open_segment_is_written_to_the_disk_each_second(start: Start, spool: Path, tmp_path: Path) -> None:
    """Once before its end, and at its end, as it lives for two seconds."""
    told = tmp_path / "syncs"
    service = start(sys.executable, "-c", SYNCS, str(told))
    ends = time.monotonic() + 3 * MAX_AGE_SECONDS
    while time.monotonic() < ends:
        service.predict()
    until(lambda: len([path for path in segments(spool) if "predictions" in path.name]) >= 2, "two whole segments")
    counted = Counter(line for line in told.read_text().splitlines() if line.startswith("predictions"))
    whole = [counted[path.name] for path in segments(spool) if "predictions" in path.name]
    assert min(whole) >= 1
    assert max(whole) >= 2

"""The thread that encodes predictions and appends them to segments."""

import errno
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from contract.segments import LinesHeader, SegmentHeader
from serving.log.counts import OwnCounters
from serving.log.disk import Disk
from serving.log.kind import Key
from serving.log.segment import OpenSegment
from serving.log.spool import FEEDBACK_SHARE, FullError, Spool
from serving.log.stream import Batch, Many, Single, Stream

TICK_SECONDS: Final = 0.08
"""Time in which predictions are gathered for a block."""

SYNC_SECONDS: Final = 1.0
MAX_OPEN: Final = 100
"""Most segments that are open at once, each of another model version."""

MAX_LINES: Final = 1000
"""Most events that wait until they can be written."""

REPORT_SECONDS: Final = 60.0

BEHIND_SHARE: Final = 0.25
"""Share of the buffer above which no rows are answered in the shadow: that must not keep others from being logged."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lines:
    """Lines to append, all or none.

    Attributes:
        done: is told, in the writer's thread, of the error if they couldn't be written, else None; without it they are
            tried again until they are.
    """

    kind: Literal["feedback", "events"]
    payloads: list[bytes]
    done: Callable[[OSError | None], None] | None = None


class Writer:
    """Writes what was put within a tenth of a second.

    Rows and lists are put by one thread, the event loop's.
    """

    def __init__(self, spool: Spool, counters: OwnCounters, buffer_bytes: int) -> None:
        self._spool, self._counters = spool, counters
        self._most, self._put, self._done = buffer_bytes, 0, 0
        self._disk = Disk(spool, counters)
        self._streams: list[Stream] = []
        self._lines: deque[Lines] = deque()
        self._wake, self._stop, self._sleeps = threading.Event(), threading.Event(), False
        self._open: dict[Key | str, OpenSegment] = {}
        self._sync_at = 0.0
        self._report_at = dict.fromkeys(("buffer", "spool", "disk"), 0.0)
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)

    def start(self) -> None:
        """Start, and adopt the segments of processes that have ended."""
        try:
            self._prepare()
        except OSError as error:
            logger.error("log.unwritable folder=%s reason=%r", self._spool.folder, str(error))
        self._disk.adopt()
        self._thread.start()

    def add(self, stream: Stream) -> None:
        """Begin to take what is put into a stream."""
        self._streams.append(stream)

    def is_behind(self) -> bool:
        """Return whether so much waits that nothing is to be answered in the shadow."""
        return self._put - self._done > self._most * BEHIND_SHARE

    def put(self, stream: Stream, singles: Sequence[Single]) -> bool:
        """Take rows, unless too much waits already; return whether they were taken."""
        if self._put - self._done > self._most:
            return False
        self._put += stream.row_bytes * len(singles)
        stream.singles.extend(singles)
        if self._sleeps:
            self._wake.set()
        return True

    def put_many(self, stream: Stream, many: Many) -> bool:
        """Take a list, unless too much waits already; return whether it was taken."""
        if self._put - self._done + many.size > self._most:
            return False
        self._put += many.size
        stream.lists.append(many)
        self._wake.set()
        return True

    def put_lines(self, lines: Lines) -> None:
        """Take lines, without waiting for anything."""
        self._lines.append(lines)
        self._wake.set()

    def close(self) -> None:
        """Write all that was put, and give all segments to the shipper."""
        self._stop.set()
        self._wake.set()
        self._thread.join()
        self._disk.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._sleep()
            self._stop.wait(TICK_SECONDS)
            self._wake.clear()
            self._work()
        self._work()
        for key in list(self._open):
            self._finish(key)

    def _sleep(self) -> None:
        """Wait until something was put, or what was written has to be looked after."""
        self._sleeps = True  # rows that are put from now on wake this thread; those before are seen here
        if not any(stream.singles for stream in list(self._streams)):
            self._wake.wait(SYNC_SECONDS / 2 if self._open or self._lines or self._disk.is_behind else None)
        self._sleeps = False

    def _work(self) -> None:
        try:
            for stream in list(self._streams):
                was_retired = stream.is_retired
                for batch in stream.take():
                    self._write(batch)
                if was_retired:
                    self._streams.remove(stream)
            self._write_waiting()
            self._look_after_open()
        except Exception:  # a defect must not end the log
            logger.exception("log.failed")

    def _write(self, batch: Batch) -> None:
        rest = batch.rows
        try:
            for kind, payload in batch.payloads:
                rows = kind.rows_of(payload)
                try:
                    self._append(kind.key, kind.header, [payload], rows)
                except OSError as error:
                    self._drop(rows, "spool" if isinstance(error, FullError) else "disk", error)
                else:
                    self._counters.add("written", rows)
                rest -= rows
        except MemoryError:
            self._drop(rest, "buffer", "there is too little memory to encode them")
        finally:
            self._done += batch.size

    def _write_waiting(self) -> None:
        """Write the lines that wait, in order: those that could not be written stay before what comes next."""
        again: list[Lines] = []
        for _ in range(len(self._lines)):
            lines = self._lines.popleft()
            if lines.done:
                lines.done(self._write_lines(lines))
            elif again or self._write_lines(lines):
                again.append(lines)
        self._lines.extendleft(reversed(again[:MAX_LINES]))

    def _write_lines(self, lines: Lines) -> OSError | None:
        """Append lines; return the error if they couldn't be."""
        try:
            header = LinesHeader(kind=lines.kind, created_at=datetime.now(UTC))
            self._append(lines.kind, header, lines.payloads)
        except OSError as error:
            return error
        except MemoryError:
            return OSError(errno.ENOMEM, "there is no memory for it")
        return None

    def _append(self, key: Key | str, header: SegmentHeader, payloads: list[bytes], rows: int = 0) -> None:
        try:
            self._spool.check_room(sum(map(len, payloads)), FEEDBACK_SHARE if key == "feedback" else 1.0)
            segment = self._open.get(key) or self._create(key, header)
            segment.append(payloads, rows)
        except OSError:
            self._finish(key)
            raise
        if segment.is_due:
            self._finish(key)

    def _create(self, key: Key | str, header: SegmentHeader) -> OpenSegment:
        self._prepare()
        if len(self._open) >= MAX_OPEN:
            self._finish(next(iter(self._open)))
        now = datetime.now(UTC)
        segment = self._open[key] = OpenSegment(self._spool, header.model_copy(update={"created_at": now}))
        return segment

    def _prepare(self) -> None:
        """Make folders and the file of counters, if they aren't there (any more)."""
        self._spool.prepare()
        self._counters.attach()

    def _finish(self, key: Key | str) -> None:
        if segment := self._open.pop(key, None):
            self._disk.finish(segment)

    def _look_after_open(self) -> None:
        is_time, now = time.monotonic() >= self._sync_at, time.monotonic()
        for key, segment in list(self._open.items()):
            if segment.is_due:
                self._finish(key)
            elif is_time and not segment.is_synced:
                self._disk.sync(segment)
        if is_time:
            self._disk.retry()
            self._sync_at = now + SYNC_SECONDS

    def _drop(self, rows: int, reason: str, error: OSError | str) -> None:
        self._counters.add(f"dropped_{reason}", rows)
        if time.monotonic() >= self._report_at[reason]:
            self._report_at[reason] = time.monotonic() + REPORT_SECONDS
            logger.error("log.dropped reason=%s total=%d: %s", reason, self._counters[f"dropped_{reason}"], error)

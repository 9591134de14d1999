"""The thread that waits for the disk, so that the one that writes doesn't."""

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from contract.counters import Counters
from serving.log.adoption import adopt
from serving.log.segment import OpenSegment
from serving.log.spool import Spool

REPORT_SECONDS: Final = 60.0

logger = logging.getLogger(__name__)


class Disk:
    """Writes segments to the disk and gives them to the shipper, one after the other."""

    def __init__(self, spool: Spool, counters: Counters) -> None:
        self._spool, self._counters = spool, counters
        self._thread = ThreadPoolExecutor(1, "log-disk")
        self._unreleased: list[OpenSegment] = []
        self._finishing: Future[None] | None = None
        self._report_at = 0.0

    @property
    def is_behind(self) -> bool:
        """Return whether complete segments couldn't be given to the shipper, or the thread may still find that out."""
        return bool(self._unreleased) or not (self._finishing is None or self._finishing.done())

    def adopt(self) -> None:
        """Adopt the segments of processes that have ended."""
        self._thread.submit(self._adopt)

    def sync(self, segment: OpenSegment) -> None:
        """Write what a segment has so far to the disk."""
        segment.is_synced = True
        self._thread.submit(self._sync, segment)

    def finish(self, segment: OpenSegment) -> None:
        """Complete a segment, and give it to the shipper."""
        self._finishing = self._thread.submit(self._finish, segment)

    def retry(self) -> None:
        """Try to give the shipper what it couldn't be given."""
        if self.is_behind:
            self._thread.submit(self._release_all)

    def close(self) -> None:
        """Finish all of it."""
        self._thread.shutdown()

    def _adopt(self) -> None:
        try:
            adopt(self._spool)
        except (OSError, ValueError) as error:  # a damaged counter may be larger than the sum can be
            logger.error("log.not_adopted folder=%s reason=%r", self._spool.folder, str(error))

    def _sync(self, segment: OpenSegment) -> None:
        try:
            segment.sync()
        except OSError as error:
            logger.error("log.not_synced segment=%s reason=%r", segment.path.name, str(error))

    def _finish(self, segment: OpenSegment) -> None:
        if segment.size:
            try:
                segment.end()
            except OSError as error:  # its blocks are whole
                logger.warning("log.not_ended segment=%s reason=%r", segment.path.name, str(error))
            self._sync(segment)
            self._unreleased.append(segment)
        else:
            segment.path.unlink(missing_ok=True)
        segment.close()
        self._release_all()

    def _release_all(self) -> None:
        self._unreleased = [each for each in self._unreleased if not self._release(each)]

    def _release(self, segment: OpenSegment) -> bool:
        """Return whether this was the last try for a segment."""
        try:
            self._spool.prepare()
            self._spool.release(segment.path)
        except FileNotFoundError:
            if segment.path.exists():  # the folder for it has just been deleted
                return False
            self._counters.add("lost", segment.rows)
            logger.error("log.lost rows=%d: somebody deleted %s", segment.rows, segment.path)
        except OSError as error:
            if time.monotonic() >= self._report_at:
                self._report_at = time.monotonic() + REPORT_SECONDS
                logger.error("log.not_released segment=%s reason=%r", segment.path.name, str(error))
            return False
        return True

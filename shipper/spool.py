"""The folder of the prediction log, as the shipper sees it: segments that are ready, and those that it sets aside."""

import fcntl
import io
import logging
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final
from uuid import UUID, uuid4

from contract.counters import SHIPPER, SHIPPER_FILE, Counters
from contract.segments import COUNTERS, DAMAGED, OPEN, PART, READY, DamageError, SegmentName

REASON: Final = ".reason"
"""Suffix of the file that says why a segment was set aside."""

SLACK_SECONDS: Final = 5.0
"""Longest time between an answer and its row in a segment, with room to spare."""

_ID_FILE: Final = "spool.id"
_IN_MEMORY: Final = 32 * 1024 * 1024  # bytes; a segment of a large table is read from the disk as it is shipped

logger = logging.getLogger(__name__)


class Spool:
    """The folder of the prediction log."""

    def __init__(self, folder: Path) -> None:
        """Open the folder; missing parts of it are made.

        Raises:
            OSError: it can't be.
        """
        self._open, self._ready, self._damaged = folder / OPEN, folder / READY, folder / DAMAGED
        self._heart = folder / COUNTERS / SHIPPER_FILE
        for part in (OPEN, READY, DAMAGED, COUNTERS):
            (folder / part).mkdir(parents=True, exist_ok=True, mode=0o700)
        self.id = _read_id(folder / COUNTERS / _ID_FILE)
        """Id of the folder, the same for each shipper that works on it."""
        self.counters = self._open_counters()
        self._stuck: set[str] = set()
        """Names of segments that couldn't be moved or deleted, or not be read."""

    def _open_counters(self) -> Counters:
        self._file = os.open(self._heart, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.warning("another shipper works on this folder: its counters count, and each segment arrives once")
            return Counters(SHIPPER)
        return Counters(SHIPPER, self._file)

    def beat(self) -> None:
        """Show that the shipper works."""
        with suppress(OSError):
            os.utime(self._file)

    def names(self) -> list[SegmentName | str]:
        """Return the segments that are ready, the oldest first; the name of a file that is none as a text."""
        found = {path.name for path in self._ready.iterdir() if not path.name.startswith(".")} - self._stuck
        parsed = [SegmentName.parse(name) or name for name in found]
        return sorted(parsed, key=lambda name: (0, 0, name, 0) if isinstance(name, str) else (1, *name[1:]))

    def complete_until(self) -> datetime:
        """Return the time before which all answers that were to arrive have arrived.

        Segments that are being written or that wait hold it back, also those of a process that was killed, until the
        service has adopted them. Those that were set aside don't.
        """
        oldest = time.time()
        for folder in (self._open, self._ready):  # in this order: a segment that moves meanwhile is seen
            for path in folder.iterdir():
                name = SegmentName.parse(path.name.removesuffix(PART))
                if name and name.kind == "predictions":
                    oldest = min(oldest, name.created_ms / 1000)
        return datetime.fromtimestamp(oldest - SLACK_SECONDS, UTC)

    @contextmanager
    def open(self, name: SegmentName) -> Iterator[IO[bytes]]:
        """Open a segment; a small one is read at once.

        Raises:
            OSError: it can't be read; FileNotFoundError if another shipper has deleted it.
            DamageError: it isn't a file, but a pipe, which nobody may ever fill, or a link out of the folder.
        """
        path = self._ready / str(name)
        if not stat.S_ISREG(path.lstat().st_mode):
            raise DamageError("it isn't a file")
        with path.open("rb") as file:
            small = os.fstat(file.fileno()).st_size <= _IN_MEMORY
            yield io.BytesIO(file.read()) if small else file

    def delete(self, name: SegmentName) -> None:
        """Delete a segment that has arrived. If that fails it is left alone for a while."""
        try:
            (self._ready / str(name)).unlink(missing_ok=True)
        except OSError as error:
            self.leave(name, f"it has arrived and can't be deleted: {error}")

    def set_aside(self, name: SegmentName | str, reason: str) -> None:
        """Move a segment that can't arrive to the damaged ones, with the reason in a file beside it."""
        place = self._damaged / str(name)
        try:
            place.with_name(place.name + REASON).write_text(f"{reason}\n")
            shutil.move(self._ready / str(name), place)  # which may be on another file system
        except OSError as error:
            self.leave(name, f"it is damaged ({reason}) and can't be set aside: {error}")
        else:
            self.counters.add("damaged")
            logger.error("segment.damaged name=%r reason=%r: it is in %s now", str(name), reason, self._damaged)

    def forget_damaged(self, days: int) -> None:
        """Delete segments, with their reasons, that were set aside more than that many days ago; none if it is 0."""
        if not days:
            return
        for reason in self._damaged.glob(f"*{REASON}"):  # whose time is that of the setting aside; a segment's is older
            try:
                if reason.stat().st_mtime < time.time() - days * 86400:
                    place = self._damaged / reason.name.removesuffix(REASON)
                    if place.is_dir() and not place.is_symlink():
                        shutil.rmtree(place)
                    else:
                        place.unlink(missing_ok=True)
                    reason.unlink(missing_ok=True)
                    logger.info("segment.forgotten name=%r", reason.name.removesuffix(REASON))
            except OSError as error:
                logger.warning("segment.kept name=%r reason=%r", reason.name, str(error))

    def leave(self, name: SegmentName | str, reason: str) -> None:
        """Leave a segment where it is, until `retry`."""
        self._stuck.add(str(name))
        logger.error("segment.stuck name=%r reason=%r", str(name), reason)

    def retry(self) -> None:
        """Try segments again that were left alone."""
        self._stuck.clear()


def seconds_since_beat(folder: Path) -> float:
    """Return the seconds since a shipper last showed that it works on a folder.

    Raises:
        OSError: none ever did.
    """
    return time.time() - (folder / COUNTERS / SHIPPER_FILE).stat().st_mtime


def _read_id(path: Path) -> UUID:
    """Return the id of a folder, which gets one if it has none."""
    with suppress(FileExistsError), path.open("x") as file:
        file.write(f"{uuid4()}\n")
    try:
        return UUID(path.read_text().strip())
    except ValueError:  # the disk was full
        path.unlink()
        return _read_id(path)

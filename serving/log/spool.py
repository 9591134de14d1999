"""The spool: a folder with the segments that are being written, and those that wait for the shipper."""

import errno
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from contract.segments import COUNTERS, DAMAGED, OPEN, PART, READY, Kind, SegmentName

_FOLDERS: Final = (OPEN, READY, DAMAGED, COUNTERS)
_MEASURE_SECONDS: Final = 1.0
_MEASURE_SHARE: Final = 50
"""With many segments the folder is measured less often: for one second in this many."""

FEEDBACK_SHARE: Final = 0.5
"""Share of the room that feedback may take: whoever sends much of it must not keep predictions from being logged."""


class FullError(OSError):
    """The spool has as many bytes as it may have."""


class Spool:
    """The folders of the spool, and the room in them. Its methods block."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self.max_bytes = folder.absolute(), max_bytes
        self.process = os.urandom(8).hex()
        """Random digits in the names of this process' segments."""
        self._number = 0
        self._lock = threading.Lock()
        self._used, self._oldest_ms = 0, float("inf")
        self._measured_at = float("-inf")
        self._measure_seconds = _MEASURE_SECONDS

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            OSError: they can't be made.
        """
        for name in _FOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)

    def create(self, kind: Kind, suffix: str = "") -> tuple[Path, int]:
        """Create an empty file for a segment; return its path and the open file.

        Raises:
            OSError: it can't be created.
        """
        with self._lock:
            self._number += 1
            name = SegmentName(kind, time.time_ns() // 1_000_000, self.process, self._number)
        path = self.folder / OPEN / f"{name}{suffix}"
        return path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def release(self, path: Path) -> None:
        """Give a complete segment, whose content is on the disk, to the shipper.

        Raises:
            OSError: it can't be moved.
        """
        place = self.folder / READY / path.name.removesuffix(PART)
        try:
            path.rename(place)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy(path, place)  # somebody has put the folder on another file system
        for name in (READY, OPEN):
            with suppress(OSError):  # it has arrived; not all file systems can do this
                sync_folder(self.folder / name)

    def room(self, share: float = 1.0) -> int:
        """Return the bytes that may still be written: below a share of the limit, and on the disk."""
        try:
            return min(round(self.max_bytes * share) - self.used_bytes(), self._free())
        except OSError:
            return 0

    def check_room(self, size: int, share: float = 1.0) -> None:
        """Check that this many bytes more are below a share of the limit; the disk says itself when it is full.

        Raises:
            FullError: they are not.
            OSError: the folder can't be read.
        """
        if self.used_bytes() + size > self.max_bytes * share:
            of = "" if share == 1 else f"{share:.0%} of "
            text = f"the segments in {self.folder} have reached {of}SERVING_LOG_MAX_BYTES: does the shipper run?"
            raise FullError(text)

    def add(self, size: int) -> None:
        """Add bytes that were written since the folder was measured."""
        with self._lock:
            self._used += size

    def used_bytes(self) -> int:
        """Return the size of all segments, as far as it is known without measuring it all the time.

        Raises:
            OSError: the folder can't be read.
        """
        with self._lock:
            self._measure()
            return self._used

    def state(self) -> tuple[int, float]:
        """Return the size of all segments and the age of the oldest one that waits for the shipper, as last known."""
        with suppress(OSError):
            self.used_bytes()
        return self._used, max(0.0, time.time() - self._oldest_ms / 1000)

    def _measure(self) -> None:
        started = time.monotonic()
        if started - self._measured_at < self._measure_seconds:
            return
        used, oldest = 0, float("inf")
        for part in (OPEN, READY, DAMAGED):
            for entry, size in _sizes(self.folder / part):
                used += size
                if part == READY and (name := SegmentName.parse(entry)):
                    oldest = min(oldest, name.created_ms)
        self._used, self._oldest_ms, self._measured_at = used, oldest, time.monotonic()
        self._measure_seconds = max(_MEASURE_SECONDS, _MEASURE_SHARE * (self._measured_at - started))

    def _free(self) -> int:
        try:
            self.prepare()
            found = os.statvfs(self.folder)
        except OSError:
            return 0
        return found.f_bavail * found.f_frsize


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk.

    Raises:
        OSError: that fails.
    """
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _copy(path: Path, place: Path) -> None:
    """Move a file to another file system, where it appears as a whole."""
    hidden = place.with_name(f".{place.name}")
    try:
        shutil.copyfile(path, hidden)
        with hidden.open("rb") as file:
            os.fsync(file.fileno())
        hidden.rename(place)
    except OSError:
        hidden.unlink(missing_ok=True)
        raise
    path.unlink()


def _sizes(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield names and sizes of the files in a folder; none if it isn't there.

    Raises:
        OSError: it can't be read.
    """
    try:
        found = os.scandir(folder)
    except FileNotFoundError:
        return
    with found:
        for entry in found:
            with suppress(FileNotFoundError):  # the shipper has just deleted it
                yield entry.name, entry.stat(follow_symlinks=False).st_size

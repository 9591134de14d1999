"""The spool: a folder with the segments that are being written, and those that wait for the shipper."""

import os
import threading
import time
from pathlib import Path
from typing import Final

from contract.segments import COUNTERS, DAMAGED, OPEN, READY, Kind, SegmentName

PART: Final = ".part"
"""Suffix of a segment of one request, which is worth nothing before it is complete."""

_FOLDERS: Final = (OPEN, READY, DAMAGED, COUNTERS)
_MEASURE_SECONDS: Final = 1.0
_MEASURE_SHARE: Final = 50
"""With many segments the folder is measured less often: for one second in this many."""


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
        self._used = 0
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
        path.rename(self.folder / READY / path.name.removesuffix(PART))
        for name in (READY, OPEN):
            sync_folder(self.folder / name)

    def room(self) -> int:
        """Return the bytes that may still be written: below the limit, and on the disk."""
        return min(self.max_bytes - self.used_bytes(), self._free())

    def check_room(self, size: int) -> None:
        """Check that this many bytes more are below the limit; the disk says itself when it is full.

        Raises:
            FullError: they are not.
        """
        if self.used_bytes() + size > self.max_bytes:
            raise FullError(f"the segments in {self.folder} have reached SERVING_LOG_MAX_BYTES: does the shipper run?")

    def add(self, size: int) -> None:
        """Add bytes that were written since the folder was measured."""
        with self._lock:
            self._used += size

    def used_bytes(self) -> int:
        """Return the size of all segments, as far as it is known without measuring it all the time."""
        started = time.monotonic()
        with self._lock:
            if started - self._measured_at >= self._measure_seconds:
                self._used = sum(map(_size, (self.folder / name for name in (OPEN, READY, DAMAGED))))
                self._measured_at = time.monotonic()
                self._measure_seconds = max(_MEASURE_SECONDS, _MEASURE_SHARE * (self._measured_at - started))
            return self._used

    def lag_seconds(self) -> float:
        """Return the age of the oldest segment that waits for the shipper; 0 if none does."""
        try:
            paths = (self.folder / READY).iterdir()
            names = [found for path in paths if (found := SegmentName.parse(path.name))]
        except OSError:
            return 0.0
        oldest = min((name.created_ms for name in names), default=None)
        return 0.0 if oldest is None else max(0.0, time.time() - oldest / 1000)

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


def _size(folder: Path) -> int:
    size = 0
    try:
        with os.scandir(folder) as found:
            for entry in found:
                try:
                    size += entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:  # the shipper has just deleted it
                    continue
    except OSError:
        return size
    return size

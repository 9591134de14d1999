"""Counters in a file that outlives its process: a mapped file, which the system writes even after a kill -9."""

import mmap
import os
import struct
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

MAGIC: Final = b"PGCOUNT1"
_NUMBER: Final = struct.Struct("<Q")

SHIPPER_FILE: Final = "shipper.bin"
SHIPPER: Final = ("shipped", "segments", "damaged")
"""Counters of the shipper: rows of predictions, segments, and segments that were set aside."""

SERVICE: Final = ("recorded", "written", "dropped_buffer", "dropped_spool", "dropped_disk", "lost")
"""Counters of a process of the service, in rows of predictions."""


class Counters:
    """Counters by their names, of one process; its threads may add to them at once.

    Attributes:
        numbers: the counters by their places, from 1 on in the order of the names. Only who alone adds to a counter may
            do so here, which takes no lock.
    """

    def __init__(self, names: Sequence[str], file: int | None = None) -> None:
        """Map an open file, after what it counts already; without one, count in memory.

        Raises:
            OSError: the file can't have its size.
        """
        self._places = {name: place for place, name in enumerate(names, 1)}
        self._lock = threading.Lock()
        self.numbers = self._map(file)

    def _map(self, file: int | None) -> memoryview:
        size = _NUMBER.size * (1 + len(self._places))
        if file is not None:
            os.posix_fallocate(file, 0, size)  # a page without a block on a full disk would end the process
        found = mmap.mmap(-1 if file is None else file, size)
        found[: len(MAGIC)] = MAGIC
        return memoryview(found).cast("Q")

    def move_to(self, file: int) -> None:
        """Count in another file from now on, which takes over the numbers.

        Raises:
            OSError: the file can't have its size.
        """
        numbers = self._map(file)
        with self._lock:
            numbers[1:] = self.numbers[1:]
            self.numbers = numbers

    def add(self, name: str, number: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self.numbers[self._places[name]] += number

    def __getitem__(self, name: str) -> int:
        """Return what was counted."""
        return int(self.numbers[self._places[name]])

    def all(self) -> Mapping[str, int]:
        """Return all counters."""
        return {name: self[name] for name in self._places}


def read_counters(path: Path, names: Sequence[str]) -> Mapping[str, int]:
    """Return the counters in a file; zeros for a file that isn't there, and for what it doesn't have.

    Raises:
        OSError: it can't be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = b""
    if not content.startswith(MAGIC):
        return dict.fromkeys(names, 0)
    found = [number for (number,) in _NUMBER.iter_unpack(content[len(MAGIC) : len(content) // 8 * 8])]
    return dict(zip(names, [*found, *[0] * len(names)], strict=False))

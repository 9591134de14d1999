"""Counters in a file that outlives its process: a mapped file, which the system writes even after a kill -9."""

import mmap
import os
import struct
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
    """Counters by their names. Adding to one takes no lock: only one thread may add to it."""

    def __init__(self, names: Sequence[str], file: int | None = None) -> None:
        """Map an open file, after what it counts already; without one, count in memory.

        Raises:
            OSError: the file can't have its size.
        """
        self._places = {name: place for place, name in enumerate(names, 1)}
        size = _NUMBER.size * (1 + len(names))
        if file is not None:
            os.posix_fallocate(file, 0, size)  # a page without a block on a full disk would end the process
        self._map = mmap.mmap(-1 if file is None else file, size)
        self._map[: len(MAGIC)] = MAGIC
        self._numbers = memoryview(self._map).cast("Q")

    def add(self, name: str, number: int = 1) -> None:
        """Add to a counter."""
        self._numbers[self._places[name]] += number

    def __getitem__(self, name: str) -> int:
        """Return what was counted."""
        return int(self._numbers[self._places[name]])

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

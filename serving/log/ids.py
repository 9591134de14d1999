"""Prediction ids: UUIDs of version 7 (RFC 9562), which are ordered by time."""

import os
from binascii import unhexlify
from typing import Final

import numpy as np

_POOL: Final = 512
"""Ends of ids that are made at once: one by one they would take several times as long."""

_VERSION: Final = 0x7000
_COUNTS: Final = 0x1000
_VARIANT: Final = 0x8000
_NS_IN_MS: Final = 1_000_000


class Ids:
    """Makes ids in a process, each greater than the one before, also after the clock was set back. Not for threads."""

    def __init__(self) -> None:
        self._ms, self._count = 0, 0
        self._until_ns = 0
        self._begin = b""
        self._ends: list[bytes] = []

    def new(self, now_ns: int) -> bytes:
        """Return the text of an id of a time, in nanoseconds since 1970."""
        if now_ns >= self._until_ns or not self._ends:
            self._go_on(now_ns // _NS_IN_MS)
        return self._begin + self._ends.pop()

    def _go_on(self, now_ms: int) -> None:
        """Go on with a millisecond, or with the last one. Counts go on over them, and begin anew in a later one."""
        if not self._ends:
            if self._count == _COUNTS:  # borrow from the next millisecond, as the standard suggests
                self._ms, self._count = self._ms + 1, 0
            self._ends = _ends(self._count)
            self._count += _POOL
        self._ms = max(self._ms, now_ms)
        self._until_ns = (self._ms + 1) * _NS_IN_MS
        self._begin = b"%08x-%04x-" % divmod(self._ms, 0x10000)


def content_of(text: bytes) -> bytes:
    """Return the 16 bytes of an id; of several texts in a row, theirs."""
    return unhexlify(text.translate(None, b"-"))


def share_of(text: bytes) -> float:
    """Return the random part of an id as a number of at least 0 and less than 1."""
    return int(text[20:].replace(b"-", b""), 16) / 16**15


def _ends(first: int) -> list[bytes]:
    """Return the last three groups of ids with counts from `first` on, in reverse order."""
    content = np.frombuffer(bytearray(os.urandom(10 * _POOL)), ">u2").reshape(_POOL, 5)
    content[:, 0] = np.arange(_VERSION + first, _VERSION + first + _POOL)
    content[:, 1] = content[:, 1] & 0x3FFF | _VARIANT
    digits = np.frombuffer(content.tobytes().hex().encode(), np.uint8).reshape(_POOL, 20)
    texts = np.insert(digits, [4, 8], ord("-"), axis=1)
    found: list[bytes] = texts[::-1].reshape(-1).view("S22").tolist()
    return found

"""Prediction ids: UUIDs of version 7 (RFC 9562), which are ordered by time."""

import os
import struct
from typing import Final

PredictionId = tuple[bytes, str]
"""The id of a request: its 16 bytes, and its text."""

_POOL: Final = 512
"""Random numbers for each system call."""

_VERSION: Final = 0x7000
_COUNTS: Final = 0x1000
_head: Final = struct.Struct(">Q").pack


class Ids:
    """Makes ids in a process, each greater than the one before, also after the clock was set back. Not for threads."""

    def __init__(self) -> None:
        self._tails: list[bytes] = []
        self._last_ms = 0
        self._count = 0

    def new(self, now_ns: int) -> PredictionId:
        """Return an id of a time, in nanoseconds since 1970."""
        now = now_ns // 1_000_000
        if now > self._last_ms:
            self._last_ms, self._count = now, 0
        else:
            self._count += 1
            if self._count == _COUNTS:  # borrowed from the next millisecond, as the standard suggests
                self._last_ms, self._count = self._last_ms + 1, 0
        if not self._tails:
            self._tails = _random_tails()
        content = _head(self._last_ms << 16 | _VERSION | self._count) + self._tails.pop()
        text = content.hex()
        return content, f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def share_of(content: bytes) -> float:
    """Return the random part of an id as a number of at least 0 and less than 1."""
    return (int.from_bytes(content[8:]) & (1 << 62) - 1) / (1 << 62)


def _random_tails() -> list[bytes]:
    """Return the second halves of ids: the variant, 0b10, and 62 random bits."""
    pool = os.urandom(8 * _POOL)
    return [bytes((0x80 | pool[at] & 0x3F,)) + pool[at + 1 : at + 8] for at in range(0, len(pool), 8)]

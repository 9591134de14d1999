"""Prediction ids: UUIDs of version 7 (RFC 9562), which are ordered by time."""

import os
import struct
from typing import Final

_POOL: Final = 512
"""Random numbers for each system call."""

_VERSION: Final = 0x7000
_COUNTS: Final = 0x1000
_VARIANT: Final = 0b10 << 62
_pack: Final = struct.Struct(">QQ").pack
_RANDOM: Final = struct.Struct(f"<{_POOL}Q")


PredictionId = tuple[bytes, str]
"""The id of a request: its 16 bytes, and its text."""


class Ids:
    """Makes ids in a process, each greater than the one before, also after the clock was set back. Not for threads."""

    def __init__(self) -> None:
        self._tails: list[int] = []
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
            now = self._last_ms
        if not self._tails:
            self._tails = [_VARIANT | number >> 2 for number in _RANDOM.unpack(os.urandom(_RANDOM.size))]
        content = _pack(now << 16 | _VERSION | self._count, self._tails.pop())
        text = content.hex()
        return content, f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def share_of(content: bytes) -> float:
    """Return the random part of an id as a number of at least 0 and less than 1."""
    return (int.from_bytes(content[8:]) & (1 << 62) - 1) / (1 << 62)

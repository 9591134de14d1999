"""A segment that is being written."""

import os
import time
from typing import Final

from contract.segments import END, SegmentHeader, encode_block, encode_header
from serving.log.spool import Spool

MAX_BYTES: Final = 8 * 1024 * 1024
MAX_AGE_SECONDS: Final = 2.0


class OpenSegment:
    """A segment in the folder `open`. One thread appends to it; another one may write it to the disk meanwhile.

    Attributes:
        rows: rows of predictions in it.
        is_synced: whether all of it is on the disk, or about to be.
    """

    def __init__(self, spool: Spool, header: SegmentHeader, suffix: str = "") -> None:
        """Create the file, still empty.

        Raises:
            OSError: it can't be created.
        """
        self._spool = spool
        self._header = encode_header(header)
        self.path, self.file = spool.create(header.kind, suffix)
        self.size = self.rows = 0
        self.is_synced = True
        self._created_at = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Return whether the segment is large or old enough for the shipper."""
        return self.size >= MAX_BYTES or time.monotonic() - self._created_at >= MAX_AGE_SECONDS

    def begin(self) -> bytes:
        """Write the header before the first block, and return it.

        Raises:
            OSError: the file can't be written.
        """
        self._write(self._header)
        return self._header

    def append(self, payloads: list[bytes], rows: int = 0) -> None:
        """Append blocks, the first one after the header.

        Raises:
            OSError: the file can't be written; it is as it was before.
        """
        self._write(b"".join([b"" if self.size else self._header, *map(encode_block, payloads)]))
        self.rows += rows

    def end(self) -> None:
        """Append the end.

        Raises:
            OSError: the file can't be written; it is as it was before.
        """
        self._write(END)

    def sync(self) -> None:
        """Write the content to the disk.

        Raises:
            OSError: that fails.
        """
        self.is_synced = True
        os.fdatasync(self.file)

    def close(self) -> None:
        """Close the file, unless it was closed: its number may be that of another one by now."""
        file, self.file = self.file, -1
        if file >= 0:
            os.close(file)

    def _write(self, content: bytes) -> None:
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[os.write(self.file, rest) :]
        except (OSError, MemoryError):
            os.ftruncate(self.file, self.size)
            raise
        self.size += len(content)
        self.is_synced = False
        self._spool.add(len(content))

"""A segment of one request, which the process that answers it fills."""

import os

from contract.segments import SegmentHeader
from serving.log.segment import OpenSegment
from serving.log.spool import PART, Spool


class PartSegment:
    """The segment on the side of the service. Its methods block."""

    def __init__(self, spool: Spool, header: SegmentHeader) -> None:
        """Create it, with its header.

        Raises:
            OSError: it can't be written.
        """
        self._spool = spool
        self._segment = OpenSegment(spool, header, PART)
        try:
            self._head = self._segment.begin()
        except OSError:
            self.discard()
            raise

    @property
    def file(self) -> int:
        """Return the open file, to which blocks are to be appended."""
        return self._segment.file

    def release(self) -> None:
        """Complete the segment, and give it to the shipper.

        Raises:
            OSError: it can't be written.
        """
        if os.pread(self.file, len(self._head), 0) != self._head:
            raise OSError(f"the header of {self._segment.path.name} was changed")
        self._segment.size = os.fstat(self.file).st_size
        self._segment.end()
        self._segment.sync()
        self._spool.release(self._segment.path)
        self._spool.add(self._segment.size)
        self._segment.close()

    def discard(self) -> None:
        """Delete the segment."""
        self._segment.path.unlink(missing_ok=True)
        self._segment.close()

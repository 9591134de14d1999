"""A segment of one request, which the process that answers it fills."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

from contract.segments import PART, SegmentHeader
from serving.log.segment import OpenSegment
from serving.log.spool import Spool


class PartSegment:
    """The segment on the side of the service. A cancelled call ends first: a thread can't be kept from its work.

    Attributes:
        is_released: whether the shipper has it.
    """

    def __init__(self, spool: Spool, header: SegmentHeader) -> None:
        """Take the header. There is no file before `open`."""
        self._spool, self._header = spool, header
        self._segment: OpenSegment | None = None
        self._head = b""
        self.is_released = False

    @property
    def file(self) -> int:
        """Return the open file, to which blocks are to be appended."""
        return self._opened.file

    async def open(self) -> None:
        """Create the file, with its header.

        Raises:
            OSError: it can't be written.
        """
        await _to_the_end(self._open)

    async def release(self) -> None:
        """Complete the segment, and give it to the shipper.

        Raises:
            OSError: it can't be written.
        """
        await _to_the_end(self._release)

    async def discard(self) -> None:
        """Close the segment, and delete it unless it was released."""
        await _to_the_end(self._discard)

    @property
    def _opened(self) -> OpenSegment:
        if self._segment is None:
            raise ValueError("the segment isn't open")
        return self._segment

    def _open(self) -> None:
        self._segment = OpenSegment(self._spool, self._header, PART)
        self._head = self._segment.begin()

    def _release(self) -> None:
        segment = self._opened
        if os.pread(segment.file, len(self._head), 0) != self._head:
            raise OSError(f"the header of {segment.path.name} was changed")
        segment.size = os.fstat(segment.file).st_size
        segment.end()
        segment.sync()
        self._spool.release(segment.path)
        self.is_released = True
        self._spool.add(segment.size)

    def _discard(self) -> None:
        if self._segment is None:
            return
        self._segment.close()
        if not self.is_released:
            with suppress(OSError):  # then the next start deletes it
                self._segment.path.unlink(missing_ok=True)


async def _to_the_end(call: Callable[[], None]) -> None:
    """Run a call in a thread; if the task is cancelled meanwhile, wait for the call nevertheless."""
    running = asyncio.get_running_loop().run_in_executor(None, call)
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        running.exception()  # it was noticed
        raise

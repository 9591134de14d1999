"""The log of a table: a segment of its own, which the process that answers the table fills."""

import os
from io import FileIO
from time import perf_counter
from typing import Final

import msgspec

from contract.segments import encode_block
from serving.codecs.base import Predictions
from serving.inference.model import LoadedModel
from serving.log.ids import PredictionId
from serving.log.segment import OpenSegment
from serving.log.spool import PART, Spool
from serving.log.stream import Stream

_SHARE_OF_BLOCKS: Final = 1.01
"""Size of a segment for each byte of its rows."""


class LogJob(msgspec.Struct, frozen=True):
    """Facts about the log of a table, for the process that writes it.

    Attributes:
        at_us: time of all predictions, in microseconds since 1970.
        started: begin of the request, on the clock of `time.perf_counter`, which all processes share.
        room: most bytes that may be written.
    """

    prediction_id: bytes
    at_us: int
    started: float
    room: int


class NoRoomError(Exception):
    """The log of a table can't be written."""

    def __init__(self, needed: int, detail: str) -> None:
        super().__init__(detail)
        self.needed = needed


class TableSegment:
    """The segment of a table, on the side of the service. Its methods block."""

    def __init__(self, spool: Spool, model: LoadedModel, prediction_id: PredictionId) -> None:
        """Create it, with its header.

        Raises:
            OSError: it can't be written.
        """
        self._spool = spool
        self._segment = OpenSegment(spool, Stream(model, prediction_id[0]).header, PART)
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


class TableRows:
    """The rows of a table, on the side of the process that answers it."""

    def __init__(self, model: LoadedModel, job: LogJob, file: int) -> None:
        self._stream, self._job = Stream(model, job.prediction_id), job
        self._file = FileIO(file, "a", closefd=False)
        self._needed = 0

    def expect(self, rows: int) -> None:
        """Check that there is room for as many rows.

        Raises:
            NoRoomError: there isn't.
        """
        self._needed = round(rows * self._stream.format.dtype.itemsize * _SHARE_OF_BLOCKS)
        if self._needed > self._job.room:
            raise NoRoomError(self._needed, "")

    def append(self, answer: Predictions, first: int) -> None:
        """Append rows; `first` is the number of those before them.

        Raises:
            NoRoomError: the file can't be written.
        """
        milliseconds = (perf_counter() - self._job.started) * 1000
        job = self._job
        try:
            for payload in self._stream.encode(answer, job.prediction_id, job.at_us, milliseconds, first):
                rest = memoryview(encode_block(payload))
                while rest:
                    rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise NoRoomError(self._needed, str(error)) from error

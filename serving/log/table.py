"""The log of a table, as the process that answers the table writes it."""

from io import FileIO
from time import perf_counter
from typing import Final

import msgspec

from contract.segments import encode_block
from serving.codecs.base import Predictions
from serving.inference.model import LoadedModel
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


class TableRows:
    """The rows of a table."""

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

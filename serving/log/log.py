"""The prediction log, as the service uses it."""

import asyncio
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, time_ns
from typing import Any, Final, Literal
from uuid import UUID

from contract.counters import SERVICE
from contract.lines import MAX_TEXT, Event, encode_line
from serving.codecs.base import Prediction, Predictions
from serving.inference.model import LoadedModel
from serving.log.counts import OwnCounters
from serving.log.ids import Ids, share_of
from serving.log.shadow import ShadowAnswers
from serving.log.spool import Spool
from serving.log.stream import Many, Stream
from serving.log.writer import Lines, Writer
from serving.settings import Settings

RECORDED: Final = SERVICE.index("recorded") + 1
"""Place of a counter."""


class PredictionLog:
    """Records what the service answers. Used from the event loop only, which it never keeps waiting."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        """Take the settings; `folder` is the spool."""
        self.spool = Spool(folder, settings.log_max_bytes)
        self.counters = OwnCounters(self.spool)
        self.wait_seconds = settings.log_wait_seconds
        self._writer = Writer(self.spool, self.counters, settings.log_buffer_bytes)
        self._ids = Ids()
        self._streams: dict[int, Stream] = {}
        self._recorded = 0
        self._host = socket.gethostname()

    def start(self) -> None:
        """Begin to write. This blocks for some milliseconds."""
        self._writer.start()
        self.event(event="started")

    def close(self) -> None:
        """Write everything, and give it to the shipper. This blocks."""
        self.event(event="stopped")
        self._writer.close()

    def record(self, model: LoadedModel, answer: Prediction | Predictions, started: float) -> bytes | None:
        """Record an answer, if it belongs to the logged share; return its id, None if the model isn't logged at all.

        Args:
            started: time of the request's begin, on the clock of `time.perf_counter`.
        """
        if isinstance(answer, Prediction):
            (prediction_id,) = self.record_rows(model, [answer], [started])
            return prediction_id
        stream, now = self._stream(model), time_ns()
        prediction_id = self._ids.new(now)
        if not _belongs(prediction_id, stream.fraction):
            return prediction_id if stream.fraction else None
        rows = len(answer.labels)
        size = answer.rows.nbytes + answer.probabilities.nbytes + answer.outside.nbytes + answer.labels.nbytes
        many = Many(answer, prediction_id, now // 1000, (perf_counter() - started) * 1000, size)
        self._count_put(rows, self._writer.put_many(stream, many))
        return prediction_id

    def record_rows(
        self, model: LoadedModel, answers: Sequence[Prediction], started: Sequence[float]
    ) -> Sequence[bytes | None]:
        """Record the answers to rows, each of a request of its own, as `record` does; return their ids."""
        stream, now, ended = self._stream(model), time_ns(), perf_counter()
        ids, pack, fraction = [self._ids.new(now) for _ in answers], stream.pack, stream.fraction
        singles = [
            pack(prediction_id, now, label, (ended - begin) * 1000, len(outside), *row, *probabilities)
            for prediction_id, begin, (row, label, probabilities, outside) in zip(ids, started, answers, strict=True)
            if fraction == 1 or _belongs(prediction_id, fraction)
        ]
        if singles:
            self._count_put(len(singles), self._writer.put(stream, singles))
        return ids if fraction else [None] * len(ids)

    def _stream(self, model: LoadedModel) -> Stream:
        return self._streams.get(id(model)) or self._add(model)

    def _count_put(self, rows: int, are_taken: bool) -> None:
        self._count(rows)
        if not are_taken:
            self.counters.add("dropped_buffer", rows)

    def _add(self, model: LoadedModel) -> Stream:
        """Return a stream for a version that is new, in place of that of the version before."""
        for key, stream in list(self._streams.items()):
            if stream.model.name == model.name:
                stream.is_retired = True
                del self._streams[key]
        shadow = ShadowAnswers(model.shadow, self._writer.is_behind) if model.shadow else None
        stream = self._streams[id(model)] = Stream(model, shadow=shadow)
        self._writer.add(stream)
        return stream

    def new_id(self, model: LoadedModel) -> UUID | None:
        """Return the id of a table; None if none of the model's answers are logged."""
        return UUID(self._ids.new(time_ns()).decode()) if model.contract.log_fraction else None

    def is_sampled(self, model: LoadedModel, prediction_id: UUID) -> bool:
        """Return whether a request belongs to the logged share."""
        return _belongs(str(prediction_id).encode(), model.contract.log_fraction)

    def count_written(self, rows: int) -> None:
        """Count the rows of a table that are in the spool."""
        self._count(rows)
        self.counters.add("written", rows)

    def count_dropped(self, rows: int, reason: Literal["spool", "disk"]) -> None:
        """Count the rows of a table that aren't logged."""
        self._count(rows)
        self.counters.add(f"dropped_{reason}", rows)

    def _count(self, rows: int) -> None:
        """Count rows, which no other thread does.

        The sum is written, not added to: the writer may move the counters to their file meanwhile.
        """
        self._recorded += rows
        self.counters.numbers[RECORDED] = self._recorded

    def event(self, **fields: Any) -> None:
        """Record what happened to the service, by the fields of `Event`."""
        texts = {name: str(text)[:MAX_TEXT] for name, text in fields.items() if text is not None}
        short = {name: text.encode(errors="replace").decode() for name, text in texts.items()}  # half of a character
        event = Event.model_validate({"at": datetime.now(UTC), "host": self._host[:MAX_TEXT], **short})
        self._writer.put_lines(Lines("events", [encode_line(event)]))

    async def keep(self, payloads: list[bytes]) -> None:
        """Write lines of feedback to the spool, all or none.

        Raises:
            OSError: they can't be written.
        """
        loop = asyncio.get_running_loop()
        written: asyncio.Future[OSError | None] = loop.create_future()

        def tell(error: OSError | None) -> None:
            loop.call_soon_threadsafe(_set, written, error)

        self._writer.put_lines(Lines("feedback", payloads, tell))
        if error := await written:
            raise error


def _belongs(prediction_id: bytes, fraction: float) -> bool:
    """Return whether a request belongs to the logged share."""
    return share_of(prediction_id) < fraction


def _set(future: asyncio.Future[OSError | None], error: OSError | None) -> None:
    if not future.done():  # the client may have gone away
        future.set_result(error)

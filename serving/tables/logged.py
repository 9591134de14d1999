"""Answer tables and log their predictions: a table waits for the log, for some time."""

import asyncio
import logging
import time
from collections.abc import Awaitable
from typing import IO, Final, Literal
from uuid import UUID

from serving.inference.model import LoadedModel
from serving.log.log import PredictionLog
from serving.log.part import PartSegment
from serving.log.stream import Stream
from serving.log.table import LogJob, NoRoomError
from serving.tables.pool import Tables

LOOK_SECONDS: Final = 0.2
FIRST_PAUSE_SECONDS: Final = 1.0
"""Pause after the disk has refused the log of a table; each further one is twice as long."""

logger = logging.getLogger(__name__)

Reason = Literal["disk", "spool"]

Answer = tuple[IO[bytes], str | None]
"""A file with the answer, and the prediction's id."""


class LoggedTables:
    """Answers tables with workers that write the log, too."""

    def __init__(self, tables: Tables, log: PredictionLog) -> None:
        self._tables, self._log = tables, log

    async def answer(self, model: LoadedModel, media_type: str, body: IO[bytes], started: float) -> Answer:
        """Return the answer and its id, None for a model that isn't logged; raise the errors of `Tables.answer`.

        Args:
            started: time of the request's begin, on the clock of `time.perf_counter`.
        """
        prediction_id = self._log.new_id(model)
        if prediction_id is None:
            return await self._tables.answer(model, media_type, body), None
        needed, pause, detail = 1, FIRST_PAUSE_SECONDS, "there is no room"
        deadline = time.monotonic() + self._log.wait_seconds if self._log.is_sampled(model, prediction_id) else None
        while deadline and (room := await self._wait_for(needed, deadline)) >= needed:
            try:
                return await self._logged(model, media_type, body, prediction_id, started, room)
            except NoRoomError as error:
                needed, detail = max(needed, error.needed), str(error)
            if needed <= room:  # the disk refused it
                if time.monotonic() + pause > deadline:
                    break
                await asyncio.sleep(pause)
                pause *= 2
        file, rows = await self._tables.answer_with(model, media_type, body, str(prediction_id))
        if deadline:
            used_bytes, _ = await asyncio.to_thread(self._log.spool.state)
            is_full = used_bytes + needed > self._log.spool.max_bytes
            reason: Reason = "spool" if is_full else "disk"
            self._log.count_dropped(rows, reason)
            logger.error("log.dropped reason=%s rows=%d id=%s: %r", reason, rows, prediction_id, detail)
        return file, str(prediction_id)

    async def _logged(
        self,
        model: LoadedModel,
        media_type: str,
        body: IO[bytes],
        prediction_id: UUID,
        started: float,
        room: int,
    ) -> Answer:
        """Return the answer, after its log was given to the shipper.

        Raises:
            NoRoomError: the log can't be written.
        """
        job = LogJob(prediction_id.bytes, time.time_ns() // 1000, started, room)
        header = Stream(model, prediction_id.bytes).header.model_copy(update={"at_us": job.at_us})
        segment = PartSegment(self._log.spool, header)
        try:
            await _or_no_room(segment.open())
            file, rows = await self._tables.answer_with(model, media_type, body, str(prediction_id), job, segment.file)
            try:
                await _or_no_room(segment.release())
            except NoRoomError:
                file.close()
                raise
            finally:
                if segment.is_released:  # also if the client has gone away meanwhile
                    self._log.count_written(rows)
        finally:
            await segment.discard()
        return file, str(prediction_id)

    async def _wait_for(self, needed: int, deadline: float) -> int:
        """Return the bytes that may be written, once they are enough or the time is over."""
        while True:
            room = await asyncio.to_thread(self._log.spool.room)
            if room >= needed or time.monotonic() > deadline or needed > self._log.spool.max_bytes:
                return room
            await asyncio.sleep(LOOK_SECONDS)


async def _or_no_room(work: Awaitable[None]) -> None:
    try:
        await work
    except OSError as error:
        raise NoRoomError(0, str(error)) from error

"""Bring truths into the spool: all of a request, or none."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import IO, Final

from contract.segments import LinesHeader
from serving.codecs.errors import Invalid, InvalidError, problem
from serving.feedback import process
from serving.feedback.csv_body import TooManyError, read_csv
from serving.feedback.json_body import read_json
from serving.feedback.truths import Truths
from serving.log.log import PredictionLog
from serving.log.part import PartSegment
from serving.log.spool import FEEDBACK_SHARE
from serving.settings import Settings, without_secrets

SMALL_BYTES: Final = 256 * 1024
"""Largest table that is read without a process of its own."""


class Feedback:
    """Takes truths about the predictions of a model.

    Args:
        classes: those of the version that serves, and of versions before it.
    """

    def __init__(self, settings: Settings, log: PredictionLog, model: str, classes: Sequence[str]) -> None:
        self._settings, self._log = settings, log
        self._model, self._classes = model, classes

    async def take_json(self, body: bytes) -> int:
        """Take one truth or a list of them; return their number.

        Raises:
            InvalidError: one of them isn't sound.
            OSError: the spool can't be written.
        """
        truths = self._truths()
        await asyncio.to_thread(read_json, body, truths)
        await self._log.keep(truths.take())
        return len(truths)

    async def take_csv(self, body: IO[bytes]) -> int:
        """Take the truths in a table; return their number.

        Raises:
            InvalidError: one of them isn't sound.
            TooManyError: they are too many.
            OSError: the spool can't be written.
        """
        body.seek(0)
        if os.fstat(body.fileno()).st_size > SMALL_BYTES:
            return await self._take_large(body)
        truths = self._truths()
        await self._log.keep(await asyncio.to_thread(lambda: list(read_csv(body, truths))))
        return len(truths)

    def _truths(self) -> Truths:
        return Truths(self._model, self._classes, datetime.now(UTC))

    async def _take_large(self, body: IO[bytes]) -> int:
        room = await asyncio.to_thread(self._log.spool.room, FEEDBACK_SHARE)
        if room <= 0:
            raise OSError("the spool is full: does the shipper run?")
        segment = PartSegment(self._log.spool, LinesHeader(kind="feedback", created_at=datetime.now(UTC)))
        try:
            await segment.open()
            rows = _rows(await self._read(body, segment, room))
            await segment.release()
        finally:
            await segment.discard()
        return rows

    async def _read(self, body: IO[bytes], segment: PartSegment, room: int) -> process.Outcome | None:
        """Return the outcome of a process that reads the table; None if it ended without one."""
        seconds = int(self._settings.table_processor_seconds) + 1
        facts = process.Facts(self._model, list(self._classes), time.time(), room, seconds)
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", process.__name__, str(body.fileno()), str(segment.file),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(body.fileno(), segment.file),
            env=without_secrets(),
        )  # fmt: skip
        try:
            told, _ = await running.communicate(process.encode(facts))
        finally:
            if running.returncode is None:
                running.kill()
                await running.wait()
        return process.decode_outcome(told) if told else None


def _rows(outcome: process.Outcome | None) -> int:
    match outcome:
        case process.Accepted(rows):
            return rows
        case process.Refused(invalid):
            raise InvalidError(Invalid.model_validate_json(invalid))
        case process.TooLarge(detail):
            raise TooManyError(detail)
        case process.NoRoom(detail):
            raise OSError(detail)
    raise InvalidError(problem("table_failed", "the table takes too long, or can't be read: send several"))

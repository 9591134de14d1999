"""Answer tables in worker processes: the service's side."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import IO

import msgspec

from serving import metrics
from serving.codecs.errors import Invalid, InvalidError, problem
from serving.inference.model import LoadedModel
from serving.settings import Settings
from serving.tables.limits import limits_of
from serving.tables.messages import (
    MAX_MESSAGE_BYTES,
    Done,
    Ended,
    Job,
    NoSpace,
    Outcome,
    Reason,
    Refused,
    TooLarge,
    decode_outcome,
)
from serving.tables.process import Launcher

IDLE_SECONDS = 60.0
LOOK_SECONDS = 1.0
START_SECONDS = 30.0
"""Longest time for the start of a launcher, beside the time of a table."""

logger = logging.getLogger(__name__)


class TooLargeError(Exception):
    """The table or its answer is larger than its limit."""


class LostError(Exception):
    """The launcher has ended, for a reason that isn't in the table."""


class Tables:
    """Answers tables with the workers of one launcher, which a swap of the model replaces.

    Used from the event loop only.
    """

    def __init__(self, settings: Settings, idle_seconds: float = IDLE_SECONDS) -> None:
        self._settings = settings
        self._idle_seconds = idle_seconds
        self._launcher: Launcher | None = None
        self._replaced: list[Launcher] = []
        self._starting = asyncio.Lock()
        self._under_way = 0
        self._used_at = time.monotonic()

    async def run(self, current: Callable[[], LoadedModel | None]) -> None:
        """Replace the launcher after a swap to another model, and end it when it is idle, until cancelled."""
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                self._replaced = [launcher for launcher in self._replaced if launcher.is_running]
                if not self._launcher:
                    continue
                if not self._under_way and time.monotonic() - self._used_at > self._idle_seconds:
                    self._replace(None)
                elif (model := current()) and model.engine is not self._launcher.engine:
                    await self._launcher_of(model)
        finally:
            self._replace(None)
            for launcher in self._replaced:
                launcher.kill()

    async def answer(self, model: LoadedModel, media_type: str, body: IO[bytes]) -> IO[bytes]:
        """Return a file with the answer to the table in the file `body`.

        Raises:
            InvalidError: the table is wrong, or its worker crashed or was killed.
            TooLargeError: the table or its answer is larger than its limit.
            LostError: the launcher has ended.
            OSError: a file can't be written.
        """
        body.seek(0)
        size = os.fstat(body.fileno()).st_size
        limits = limits_of(self._settings, size, len(model.contract.features))
        answer = TemporaryFile()  # noqa: SIM115 - returned open
        self._under_way += 1
        try:
            outcome = await self._outcome(model, Job(media_type, limits), body, answer)
            self._check(model, outcome)
        except BaseException:
            answer.close()
            raise
        finally:
            self._under_way -= 1
            self._used_at = time.monotonic()
        answer.seek(0)
        return answer

    async def _outcome(self, model: LoadedModel, job: Job, body: IO[bytes], answer: IO[bytes]) -> Outcome:
        try:
            launcher = await self._launcher_of(model)
        except OSError as error:
            return Ended(Reason.LOST, f"the launcher can't be started: {error}")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            ours.setblocking(False)
            try:
                launcher.give(job, body, answer, theirs)
                theirs.close()
                async with asyncio.timeout(job.limits.seconds + START_SECONDS):
                    message = await asyncio.get_running_loop().sock_recv(ours, MAX_MESSAGE_BYTES)
            except (OSError, TimeoutError) as error:
                return Ended(Reason.LOST, repr(error))
        try:
            return decode_outcome(message) if message else Ended(Reason.LOST, "the launcher ended")
        except msgspec.MsgspecError as error:
            return Ended(Reason.FAILED, f"the worker sent something else: {error}")

    async def _launcher_of(self, model: LoadedModel) -> Launcher:
        async with self._starting:
            launcher = self._launcher
            if not launcher or launcher.engine is not model.engine or not launcher.is_running:
                launcher = await asyncio.to_thread(Launcher, model)
                self._replace(launcher)
        return launcher

    def _replace(self, launcher: Launcher | None) -> None:
        if self._launcher:
            self._launcher.close()
            self._replaced.append(self._launcher)
        self._launcher = launcher

    def _check(self, model: LoadedModel, outcome: Outcome) -> None:
        """Count the predictions; raise the error of an outcome without an answer."""
        match outcome:
            case Done(labels):
                metrics.add_predictions(model.name, model.version, model.contract.classes, labels, model.is_first)
            case Refused(invalid):
                raise InvalidError(Invalid.model_validate_json(invalid))
            case TooLarge(detail):
                raise TooLargeError(detail)
            case NoSpace(detail):
                raise OSError(detail)
            case Ended(reason, detail):
                metrics.TABLES_ENDED.labels(reason).inc()
                logger.warning("table.ended reason=%s detail=%r", reason, detail)
                if reason == Reason.LOST:
                    raise LostError("the process that answers tables has ended: send the table again")
                raise InvalidError(problem(f"table_{reason}", f"the table has no answer: {detail}"))

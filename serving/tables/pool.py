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
from serving.log.table import LogJob, NoRoomError
from serving.settings import Settings
from serving.tables.limits import limits_of
from serving.tables.messages import (
    MAX_MESSAGE_BYTES,
    Done,
    Ended,
    Job,
    NoRoom,
    NoSpace,
    Outcome,
    Reason,
    Refused,
    TooLarge,
    decode_outcome,
)
from serving.tables.process import Launcher
from serving.tables.worker import CLIENT

IDLE_SECONDS = 60.0
LOOK_SECONDS = 1.0
START_SECONDS = 30.0
"""Longest time for the start of a launcher, beside the time of a table."""

logger = logging.getLogger(__name__)


class TooLargeError(Exception):
    """The table or its answer is larger than its limit."""


class LostError(Exception):
    """The launcher has ended, for a reason that isn't in the table."""


class _Kept:
    """The launcher of a registered model, and its use."""

    def __init__(self, launcher: Launcher) -> None:
        self.launcher, self.under_way, self.used_at = launcher, 0, time.monotonic()


class Tables:
    """Answers tables with the workers of a launcher for each registered model, which a swap replaces.

    Of the models only those that were asked last have a launcher, `max_tables` of them: a launcher and its spare worker
    take memory while they wait. Used from the event loop only.
    """

    def __init__(self, settings: Settings, idle_seconds: float = IDLE_SECONDS) -> None:
        self._settings = settings
        self._idle_seconds = idle_seconds
        self._kept: dict[str, _Kept] = {}
        self._replaced: list[Launcher] = []
        self._starting = asyncio.Lock()

    async def run(self, current: Callable[[str], LoadedModel | None]) -> None:
        """Replace launchers after a swap, and end those that are idle or whose model is gone, until cancelled.

        Args:
            current: returns the version of a registered model that serves.
        """
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                self._replaced = [launcher for launcher in self._replaced if launcher.is_running]
                for name, kept in list(self._kept.items()):
                    is_idle = not kept.under_way and time.monotonic() - kept.used_at > self._idle_seconds
                    if is_idle or (model := current(name)) is None:
                        self._drop(name)
                    elif model.engine is not kept.launcher.engine:
                        await self._launcher_of(model)
        finally:
            for name in list(self._kept):
                self._drop(name)
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
        answer, _ = await self.answer_with(model, media_type, body)
        return answer

    async def answer_with(
        self,
        model: LoadedModel,
        media_type: str,
        body: IO[bytes],
        prediction_id: str = "",
        log: LogJob | None = None,
        log_file: int = -1,
    ) -> tuple[IO[bytes], int]:
        """Return the answer and the number of its rows; raise the errors of `answer`.

        Args:
            prediction_id: id of the request; empty for none.
            log_file: open file for the log.

        Raises:
            NoRoomError: the log can't be written.
        """
        body.seek(0)
        size = os.fstat(body.fileno()).st_size
        limits = limits_of(self._settings, size, len(model.contract.features))
        answer = TemporaryFile()  # noqa: SIM115 - returned open
        try:
            job = Job(media_type, limits, prediction_id, log)
            files = [body.fileno(), answer.fileno(), *([log_file] if log else [])]
            rows = self._check(model, await self._outcome(model, job, files))
        except BaseException:
            answer.close()
            raise
        answer.seek(0)
        return answer, rows

    async def _outcome(self, model: LoadedModel, job: Job, files: list[int]) -> Outcome:
        try:
            kept = await self._launcher_of(model)
        except OSError as error:
            return Ended(Reason.LOST, f"the launcher can't be started: {error}")
        kept.under_way += 1
        try:
            outcome = await self._give(kept.launcher, job, files)
        finally:
            kept.under_way -= 1
            kept.used_at = time.monotonic()
        if isinstance(outcome, Ended) and outcome.reason == Reason.LOST and self._kept.get(model.name) is kept:
            self._drop(model.name)  # one that was killed looks alive for a moment
        return outcome

    async def _give(self, launcher: Launcher, job: Job, files: list[int]) -> Outcome:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            ours.setblocking(False)
            try:
                launcher.give(job, [*files[:CLIENT], theirs.fileno(), *files[CLIENT:]])
                theirs.close()
                async with asyncio.timeout(job.limits.seconds + START_SECONDS):
                    message = await asyncio.get_running_loop().sock_recv(ours, MAX_MESSAGE_BYTES)
            except (OSError, TimeoutError) as error:
                return Ended(Reason.LOST, repr(error))
        try:
            return decode_outcome(message) if message else Ended(Reason.LOST, "the launcher ended")
        except msgspec.MsgspecError as error:
            return Ended(Reason.FAILED, f"the worker sent something else: {error}")

    async def _launcher_of(self, model: LoadedModel) -> _Kept:
        async with self._starting:
            kept = self._kept.get(model.name)
            if not kept or kept.launcher.engine is not model.engine or not kept.launcher.is_running:
                kept = _Kept(await asyncio.to_thread(Launcher, model))
                self._drop(model.name)
                self._kept[model.name] = kept
            kept.used_at = time.monotonic()
            for name in sorted(self._kept, key=lambda name: self._kept[name].used_at)[: -self._settings.max_tables]:
                self._drop(name)
        return kept

    def _drop(self, name: str) -> None:
        """Let a launcher end, once no worker of it is busy."""
        if kept := self._kept.pop(name, None):
            kept.launcher.close()
            self._replaced.append(kept.launcher)

    def _check(self, model: LoadedModel, outcome: Outcome) -> int:
        """Count the predictions, and return their number; raise the error of an outcome without an answer."""
        match outcome:
            case Done(labels):
                metrics.add_predictions(model.name, model.version, model.contract.classes, labels, model.is_first)
                return sum(labels)
            case NoRoom(needed, log_detail):
                raise NoRoomError(needed, log_detail)
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

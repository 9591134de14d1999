"""Follow the version in the shadow of Production: it answers the same rows, and its answers are only logged."""

import asyncio
import logging
import time
from dataclasses import replace
from datetime import UTC, datetime

from serving import metrics
from serving.inference.model import LoadedModel, load
from serving.inference.signed import signed_release
from serving.registry.client import Registry
from serving.registry.connection import UnavailableError
from serving.registry.refusals import Code, RefusedError
from serving.registry.responses import ModelVersion
from serving.reload.events import Note, Refusal
from serving.settings import Settings

logger = logging.getLogger(__name__)


class Shadow:
    """Holds the version of a registered model that answers in the shadow. Used from the event loop only.

    Whatever becomes of it, Production is followed and serves. It has no copy on disk: without MLflow at the start there
    is no shadow.

    Attributes:
        model: the version that answers.
        refusal: the version with the alias that must not answer.
    """

    def __init__(self, settings: Settings, registry: Registry, name: str, note: Note) -> None:
        """Start without a version; `note` is told of those that begin and end to answer, and of refusals."""
        self._name, self._note = name, note
        self._registry = registry
        self._trusted = settings.read_trusted_keys()
        self._retry_seconds = settings.retry_refused_seconds
        self.model: LoadedModel | None = None
        self.refusal: Refusal | None = None
        self._trouble = ""

    def beside(self, champion: LoadedModel) -> LoadedModel | None:
        """Return the version that answers the rows of a champion; None if there is none, or it can't read them."""
        model = self.model
        if model is None or model.version == champion.version or model.contract.digest != champion.contract.digest:
            return None
        return model

    async def follow(self, found: ModelVersion | None, champion: LoadedModel | None, asked_at: datetime) -> None:
        """Load the version with the alias, or forget the one before if there is none.

        Args:
            champion: the version that serves.
            asked_at: time of the poll that has found the version.
        """
        if found is None or (champion and champion.release.version.identity == found.identity):
            self._end()
            self.refusal = None
        elif champion is not None:  # else there are no rows to answer
            try:
                await self._follow(found, champion)
            except RefusedError as error:
                self._refuse(found, error, asked_at)
            except UnavailableError as error:
                self._report(found, str(error))
            except Exception:  # a defect must not end the polling
                logger.exception("shadow.failed")

    async def _follow(self, found: ModelVersion, champion: LoadedModel) -> None:
        if self.model is None or self.model.release.version.identity != found.identity:
            known = self.refusal
            if known and known.version.identity == found.identity and time.monotonic() < known.retry_at:
                return
            self._end()
            await self._load(found, champion)
        else:
            _check(self.model, champion)  # it may be another one since then

    async def _load(self, found: ModelVersion, champion: LoadedModel) -> None:
        release = signed_release(found, await self._registry.signature(found), self._trusted)
        files = await self._registry.download(found, release.files)
        model = await asyncio.to_thread(load, release, files, "registry")
        _check(model, champion)
        self.model, self.refusal = replace(model, files={}), None  # only the workers of tables need them again
        self._trouble = ""
        metrics.RELOADS.labels("shadowed").inc()
        logger.info("shadow.loaded version=%s name=%s engine=%s", model.version, self._name, model.engine.name)
        self._note(event="shadowed", model=self._name, version=model.version, origin="registry")

    def _report(self, version: ModelVersion, trouble: str) -> None:
        """Log that MLflow doesn't give a version's files, once."""
        if trouble != self._trouble:
            self._trouble = trouble
            logger.warning("shadow.unavailable version=%s name=%s reason=%r", version.version, self._name, trouble)

    def _end(self) -> None:
        if self.model is not None:
            logger.info("shadow.ended version=%s name=%s", self.model.version, self._name)
            self._note(event="shadow_ended", model=self._name, version=self.model.version)
            self.model = None

    def _refuse(self, version: ModelVersion, error: RefusedError, asked_at: datetime) -> None:
        self._end()
        known = self.refusal
        if not (known and known.version.identity == version.identity and known.error.code == error.code):
            logger.warning(
                "shadow.refused version=%s name=%s code=%s reason=%r",
                version.version, self._name, error.code, error.message,
            )  # fmt: skip
            self._note(
                event="shadow_refused",
                model=self._name,
                version=version.version,
                reason=error.code,
                detail=error.message,
                asked_at=asked_at,
            )
        metrics.RELOADS.labels(f"shadow_{error.code}").inc()
        retry_at = time.monotonic() + self._retry_seconds
        self.refusal = Refusal(version, None, error, datetime.now(UTC), retry_at)


def _check(model: LoadedModel, champion: LoadedModel) -> None:
    """Raise `RefusedError` unless a version reads the rows of a champion, and names the same classes."""
    if model.contract.digest != champion.contract.digest:
        raise RefusedError(
            Code.OTHER_CONTRACT,
            f"version {model.version} has other features or classes than version {champion.version} in Production, so "
            "it can't answer the same rows: take the alias from it, and promote it by hand if it is the better one",
        )

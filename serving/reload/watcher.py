"""Follow a registered model: load the version in Production, and swap to it."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from serving import metrics
from serving.inference.model import LoadedModel, Release, load
from serving.inference.signed import signed_release
from serving.registry.client import Registry
from serving.registry.connection import UnavailableError
from serving.registry.refusals import RefusedError
from serving.registry.responses import ModelVersion
from serving.reload.cache import Cache
from serving.reload.events import FAILURES, Note, Outcome, Poll, Refusal, ServingPeriod, ignore
from serving.reload.shadow import Shadow
from serving.settings import Settings

MAX_HISTORY = 100
MAX_KNOWN_CLASSES = 5000

logger = logging.getLogger(__name__)


class Watcher:
    """Holds the version of a registered model that serves. Used from the event loop only."""

    def __init__(self, settings: Settings, registry: Registry, name: str, is_first: bool, note: Note = ignore) -> None:
        """Start without a version.

        Args:
            is_first: whether `/predict` asks the registered model `name`.
            note: is told of swaps and refusals.
        """
        self.name, self._is_first, self._note = name, is_first, note
        self._settings = settings
        self._registry = registry
        self._cache = Cache(settings, name)
        self._trusted = settings.read_trusted_keys()
        self.failures = 0  # in a row
        self._uncached: tuple[Release, Mapping[str, bytes]] | None = None
        """The release that serves, while it isn't on disk."""
        self.model: LoadedModel | None = None
        self.shadow = Shadow(settings, registry, name, note)
        self.classes: tuple[str, ...] = ()
        """Classes of the version that serves, and of those before it as far as they are known."""
        self.refusal: Refusal | None = None
        self.cache_error: str | None = None
        self.poll: Poll | None = None
        self.answered_at: float | None = None
        """Time of the registry's last answer, on the clock of `time.monotonic`."""
        self._asked_at: datetime | None = None
        """Time of the poll that is being followed."""
        self.started_at = time.monotonic()
        self.history: deque[ServingPeriod] = deque(maxlen=MAX_HISTORY)
        """Serving periods since the start, the latest one last."""

    @property
    def unready_reason(self) -> tuple[str, str]:
        """Return code and text of the reason why there is no model to serve."""
        if self.refusal:
            code: str = self.refusal.error.code
            text = f"version {self.refusal.version.version} was refused: {self.refusal.error.message}"
        elif self.poll:
            code, text = self.poll.outcome, self.poll.detail
        else:
            code, text = "starting", "the registry hasn't answered yet"
        return code, f"{text}; {self.cache_error}" if self.cache_error else text

    async def start_from_cache(self) -> None:
        """Load the version that was last in Production, if there is an undamaged copy on disk."""
        try:
            found = await asyncio.to_thread(self._cache.current)
            if found:
                self._swap(await asyncio.to_thread(load, *found, "cache"))
        except RefusedError as error:
            self.cache_error = f"the copy on disk was refused ({error.code}): {error.message}"
            logger.warning("cache.refused code=%s reason=%r", error.code, error.message)
        self._remember(await asyncio.to_thread(self._cache.class_names))

    async def follow(self, found: ModelVersion | Exception | None, asked_at: datetime) -> None:
        """Load the version in Production, after a poll of the registry that found it, found none, or failed.

        Args:
            asked_at: time of the poll. Until the version is loaded, another one may be in Production.
        """
        self._asked_at = asked_at
        try:
            if isinstance(found, Exception):
                raise found
            outcome, detail = await self._follow(found)
        except UnavailableError as error:
            outcome, detail = Outcome.UNAVAILABLE, str(error)
        except Exception as error:  # a defect must neither end the polling nor go unnoticed
            logger.exception("poll.failed")
            outcome, detail = Outcome.FAILED, f"{type(error).__name__}: {error}"
        if self.model is None and outcome in FAILURES and not self.failures:
            await self._fall_back()
        self._record(Poll(outcome, detail, datetime.now(UTC)))

    async def follow_shadow(self, found: ModelVersion | None, asked_at: datetime) -> None:
        """Load the version that answers in the shadow, after a poll of the registry that found it or found none."""
        await self.shadow.follow(found, self.model, asked_at)
        if self.model and self.model.shadow is not (shadow := self.shadow.beside(self.model)):
            self.model = replace(self.model, shadow=shadow)

    async def _fall_back(self) -> None:
        """Load an older copy on disk, while neither the one to serve nor MLflow can be had."""
        for release, files in await asyncio.to_thread(self._cache.copies):
            try:
                self._swap(await asyncio.to_thread(load, release, files, "cache"))
            except RefusedError as error:
                logger.warning("cache.refused code=%s reason=%r", error.code, error.message)
                continue
            self._uncached = release, files  # if it is still in Production, the next poll makes it the current one
            reason = self.cache_error or "the copy on disk isn't known to be the current one"
            self.cache_error = f"{reason}; the copy of version {release.version.version} serves until MLflow answers"
            logger.warning("cache.fallback version=%s reason=%r", release.version.version, reason)
            return

    async def _follow(self, version: ModelVersion | None) -> tuple[Outcome, str]:
        if version is None:
            self.refusal = None
            name, alias, stage = self.name, self._settings.alias, self._settings.stage
            return Outcome.NO_PRODUCTION, f"no version of {name} has the alias {alias} or the stage {stage}"
        if self.model and self.model.release.version.identity == version.identity:
            self.refusal = None
            await self._update_tags(self.model, version)
            if self._uncached:
                await self._store(*self._uncached)
            return Outcome.UP_TO_DATE, f"version {version.version} is in Production"
        try:
            release = signed_release(version, await self._registry.signature(version), self._trusted)
        except RefusedError as error:
            return self._refuse(version, None, error)
        if self.refusal and self.refusal.release == release and time.monotonic() < self.refusal.retry_at:
            return Outcome.REFUSED, self.refusal.error.message
        try:
            return await self._load(release)
        except RefusedError as error:
            return self._refuse(version, release, error)

    async def _load(self, release: Release) -> tuple[Outcome, str]:
        files = await self._cached(release)
        if files is None:
            files = await self._registry.download(release.version, release.files)
        self._swap(await asyncio.to_thread(load, release, files, "registry"))
        await self._store(release, files)
        return Outcome.SWAPPED, f"version {release.version.version} is in Production"

    async def _cached(self, release: Release) -> Mapping[str, bytes] | None:
        try:
            return await asyncio.to_thread(self._cache.find, release)
        except RefusedError as error:
            logger.warning("cache.refused code=%s reason=%r", error.code, error.message)
            return None

    def _swap(self, model: LoadedModel) -> None:
        before = self.model.version if self.model else None
        self.model = replace(model, is_first=self._is_first, shadow=self.shadow.beside(model))
        self.refusal = None
        self._remember(model.contract.classes)
        if self.history:
            self.history.append(replace(self.history.pop(), until=model.loaded_at))
        self.history.append(ServingPeriod(model.version, model.engine.name, model.origin, model.loaded_at))
        metrics.RELOADS.labels("swapped").inc()
        logger.info(
            "model.swapped version=%s before=%s engine=%s origin=%s name=%s",
            model.version, before, model.engine.name, model.origin, self.name,
        )  # fmt: skip

        detail = f"in place of version {before}" if before else ""
        asked_at = self._asked_at if model.origin == "registry" else None
        self._note(
            event="swapped",
            model=self.name,
            version=model.version,
            origin=model.origin,
            detail=detail,
            asked_at=asked_at,
        )

    def _remember(self, classes: Iterable[str]) -> None:
        serving = self.model.contract.classes if self.model else ()
        self.classes = tuple(dict.fromkeys((*serving, *self.classes, *classes)))[:MAX_KNOWN_CLASSES]

    async def _store(self, release: Release, files: Mapping[str, bytes]) -> None:
        try:
            await asyncio.to_thread(self._cache.store, release, files)
            self.cache_error, self._uncached = None, None
        except OSError as error:
            before, self._uncached = self.cache_error, (release, files)
            self.cache_error = f"version {release.version.version} could not be kept on disk: {error}"
            if self.cache_error != before:
                logger.warning("cache.unwritable reason=%r", str(error))

    async def _update_tags(self, model: LoadedModel, version: ModelVersion) -> None:
        """Apply tags that were set after the version was loaded."""
        if model.release.version.tags == version.tags:
            return
        release = replace(model.release, version=version)
        self.model = replace(model, release=release)
        files = await self._cached(release)
        if files is not None:
            await self._store(release, files)

    def _refuse(self, version: ModelVersion, release: Release | None, error: RefusedError) -> tuple[Outcome, str]:
        known = self.refusal
        is_known = known and known.version.identity == version.identity and known.error.code == error.code
        if is_known and release is None:  # nothing was tried, so there is no retry to schedule
            return Outcome.REFUSED, error.message
        if not is_known:
            logger.warning(
                "model.refused version=%s name=%s code=%s reason=%r",
                version.version,
                self.name,
                error.code,
                error.message,
            )
            self._note(
                event="refused",
                model=self.name,
                version=version.version,
                reason=error.code,
                detail=error.message,
                asked_at=self._asked_at,
            )
        metrics.RELOADS.labels(error.code).inc()
        retry_at = time.monotonic() + self._settings.retry_refused_seconds
        self.refusal = Refusal(version, release, error, datetime.now(UTC), retry_at)
        return Outcome.REFUSED, error.message

    def _record(self, poll: Poll) -> None:
        """Record the outcome; log once when failures begin, and once when they end."""
        before = self.poll and self.poll.outcome
        if poll.outcome != before and poll.outcome in (Outcome.UNAVAILABLE, Outcome.NO_PRODUCTION):
            logger.warning("registry.%s reason=%r", poll.outcome, poll.detail)
        metrics.POLLS.labels(poll.outcome).inc()
        failed = poll.outcome in FAILURES
        if not failed:
            self.answered_at = time.monotonic()
        if self.failures and not failed:
            logger.info("registry.available after_failures=%d", self.failures)
        self.failures = self.failures + 1 if failed else 0
        self.poll = poll

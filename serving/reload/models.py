"""The registered models that are served: one poll of the registry for all, and a watcher for each."""

import asyncio
import logging
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from serving.inference.model import LoadedModel
from serving.registry.client import Found, Registry
from serving.reload.events import Note, ignore
from serving.reload.names import Names
from serving.reload.watcher import Watcher
from serving.settings import Settings

JITTER = 0.1

logger = logging.getLogger(__name__)


class Models:
    """The watchers by the names of their registered models, the first one's being that of `/predict`.

    Each loads, refuses and swaps by itself, and so does what is in its shadow: one that waits for its files keeps no
    other one waiting. Used from the event loop only.
    """

    def __init__(self, settings: Settings, registry: Registry, note: Note = ignore) -> None:
        """Start without versions; `note` is told of swaps and refusals."""
        self._settings = settings
        self._registry, self._note = registry, note
        self._names = Names(settings)
        name, *_ = settings.first_models
        self.first = Watcher(settings, registry, name, is_first=True, note=note)
        self._watchers = {name: self.first}
        self._loading: dict[object, asyncio.Task[None]] = {}
        """Task of each watcher, and of each shadow."""

    def __iter__(self) -> Iterator[Watcher]:
        """Return the watchers, the first one first."""
        return iter(self._watchers.values())

    def get(self, name: str) -> Watcher | None:
        """Return the watcher of a registered model; None if it isn't served."""
        return self._watchers.get(name)

    def served(self, name: str) -> LoadedModel | None:
        """Return the version of a registered model that serves."""
        watcher = self._watchers.get(name)
        return watcher.model if watcher else None

    async def start_from_cache(self) -> None:
        """Load the versions that were last in Production, as far as there are undamaged copies on disk."""
        await self._load([self.first])
        await self._update()

    async def run(self) -> None:
        """Poll the registry until cancelled; less often while no model can be asked for."""
        try:
            while True:
                await self._update()
                await self._poll()
                failures = min(watcher.failures for watcher in self)
                pause = self._settings.poll_seconds * 2 ** min(failures, 16)
                pause = min(pause, max(self._settings.max_backoff_seconds, self._settings.poll_seconds))
                await asyncio.sleep(pause * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311
        finally:
            for task in self._loading.values():
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*self._loading.values(), return_exceptions=True)

    async def _update(self) -> None:
        """Begin to serve the models that were added to the file, and end to serve those that were removed."""
        names = await asyncio.to_thread(self._names.current)
        before, self._watchers = (
            self._watchers,
            {name: self._watchers.get(name) or self._added(name) for name in names},
        )
        for name in before.keys() - self._watchers.keys():
            for each in (before[name], before[name].shadow):
                if task := self._loading.pop(each, None):
                    task.cancel()
            logger.info("models.removed name=%s", name)
        await self._load(watcher for name, watcher in self._watchers.items() if name not in before)

    def _added(self, name: str) -> Watcher:
        return Watcher(self._settings, self._registry, name, is_first=False, note=self._note)

    async def _load(self, watchers: Iterable[Watcher]) -> None:
        """Load the copies on disk."""
        for error in await asyncio.gather(*(each.start_from_cache() for each in watchers), return_exceptions=True):
            if error is not None:  # a defect in one, which must not harm the others
                logger.error("models.failed", exc_info=error)

    async def _poll(self) -> None:
        self._loading = {each: task for each, task in self._loading.items() if not task.done()}
        idle = [watcher for watcher in self if watcher not in self._loading]
        if idle:
            asked_at = datetime.now(UTC)
            found = await self._find([watcher.name for watcher in idle])
            for watcher in idle:
                self._follow(watcher, found[watcher.name], asked_at)
        followed = [task for each, task in self._loading.items() if isinstance(each, Watcher)]  # no shadow
        await asyncio.wait(followed, timeout=self._settings.poll_seconds)

    def _follow(self, watcher: Watcher, found: Found | Exception, asked_at: datetime) -> None:
        production = found.production if isinstance(found, Found) else found
        self._loading[watcher] = asyncio.create_task(watcher.follow(production, asked_at))
        if isinstance(found, Found) and watcher.shadow not in self._loading:
            self._loading[watcher.shadow] = asyncio.create_task(watcher.follow_shadow(found.shadow, asked_at))

    async def _find(self, names: list[str]) -> Mapping[str, Found | Exception]:
        try:
            return await self._registry.find(names)
        except Exception as error:  # noqa: BLE001 - each watcher reports it, and a defect must not end the polling
            return dict.fromkeys(names, error)

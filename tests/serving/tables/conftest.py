"""A model without a registry, and the workers that answer tables with it."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from tempfile import TemporaryFile
from typing import Any, TypeVar

import pytest

from serving.inference.model import LoadedModel, Release, load
from serving.registry.responses import ModelVersion
from serving.settings import Settings
from serving.tables.pool import Tables
from tests.serving.publisher import digests, forest, inference_files

Result = TypeVar("Result")


def loaded(version: str, seed: int = 0, name: str = "penguins_rf") -> LoadedModel:
    """Return a small forest as this version of a registered model."""
    files = inference_files(forest(seed, n_estimators=2))
    found = ModelVersion(name=name, version=version, creation_timestamp=1, source="models:/m-1")
    return load(Release(found, digests(files), None), files, "registry")


@pytest.fixture(scope="session")
def model() -> LoadedModel:
    """Version 1."""
    return loaded("1")


class Workshop:
    """Workers of tables, in an event loop of their own."""

    def __init__(self, idle_seconds: float = 60, **settings: Any) -> None:
        self.current: LoadedModel | None = None
        self.asked: dict[str, LoadedModel] = {}
        self._loop = asyncio.new_event_loop()
        self.tables = Tables(Settings(**settings), idle_seconds)
        self._running = self._loop.create_task(self.tables.run(self._served))

    def _served(self, name: str) -> LoadedModel | None:
        """Return the model that serves; by default any that was asked stays."""
        return self.current or self.asked.get(name)

    def run(self, task: Coroutine[Any, Any, Result]) -> Result:
        """Return the result of a coroutine."""
        return self._loop.run_until_complete(task)

    def answer(self, model: LoadedModel, media_type: str, body: bytes) -> bytes:
        """Return the answer to a table."""
        return self.run(self.answering(model, media_type, body))

    async def answering(self, model: LoadedModel, media_type: str, body: bytes) -> bytes:
        """Return the answer to a table."""
        self.asked[model.name] = model
        with TemporaryFile() as file:
            file.write(body)
            with await self.tables.answer(model, media_type, file) as answer:
                return answer.read()

    def until(self, condition: Callable[[], bool]) -> None:
        """Run the event loop until the condition is true."""

        async def wait() -> None:
            async with asyncio.timeout(120):
                while not condition():
                    await asyncio.sleep(0.01)

        self.run(wait())

    def close(self) -> None:
        """End the workers."""
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            self.run(self._running)  # type: ignore[arg-type]
        self._loop.close()


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    """Workers with the default settings."""
    workshop = Workshop()
    yield workshop
    workshop.close()

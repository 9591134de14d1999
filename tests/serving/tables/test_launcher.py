"""A launcher lives from the first table until a swap, or until it has been idle for a minute."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from serving.inference.model import LoadedModel
from serving.tables.pool import LostError
from serving.tables.process import Launcher
from tests.serving.tables.conftest import Workshop, loaded
from tests.serving.tables.processes import LARGE, SMALL, launchers, spare, workers

pytestmark = pytest.mark.programs


@pytest.fixture
def own() -> Iterator[Workshop]:
    """Workers that no other test has used."""
    workshop = Workshop()
    yield workshop
    workshop.close()
    assert not launchers()


def test_swap_renews_the_workers(own: Workshop, model: LoadedModel) -> None:
    own.current = model
    assert b",1\n" in own.answer(model, *SMALL)
    (before,) = launchers()
    own.current = loaded("2", seed=1)
    own.until(lambda: before not in (running := launchers()) and len(running) == 1)
    after = launchers()
    assert b",2\n" in own.answer(own.current, *SMALL)
    assert launchers() == after


def test_idle_workers_end(model: LoadedModel) -> None:
    workshop = Workshop(idle_seconds=0)
    try:
        workshop.answer(model, *SMALL)
        workshop.until(lambda: not launchers())
        assert workshop.answer(model, *SMALL)
    finally:
        workshop.close()


def test_end_of_the_launcher_is_no_fault_of_the_table(
    own: Workshop, model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.answer(model, *SMALL)
    monkeypatch.setattr(Launcher, "is_running", True)  # as one that was killed still looks for a moment
    spare(own)

    async def lose() -> list[Any]:
        task = asyncio.create_task(own.answering(model, *LARGE))
        while len(workers()) < 2:
            await asyncio.sleep(0.001)
        launchers()[0].kill()
        return await asyncio.gather(task, return_exceptions=True)

    (outcome,) = own.run(lose())
    assert isinstance(outcome, LostError)
    assert own.answer(model, *SMALL)


def test_models_share_a_limited_number_of_launchers() -> None:
    workshop = Workshop(max_tables=2)
    models = [loaded("1", seed, name) for seed, name in enumerate("abc")]
    try:
        answers = [workshop.answer(model, *SMALL) for model in models]
        workshop.until(lambda: len(launchers()) == 2)
        kept = launchers()
        assert [workshop.answer(model, *SMALL) for model in models[1:]] == answers[1:]
        assert launchers() == kept
        assert workshop.answer(models[0], *SMALL) == answers[0]
        workshop.until(lambda: len(launchers()) == 2)
        assert len(set(answers)) > 1
    finally:
        workshop.close()
    assert not launchers()

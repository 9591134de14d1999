"""Workers answer tables; whatever ends a worker is told to its client only."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.damaged_tables import parquet, sound
from serving.codecs.errors import InvalidError
from serving.codecs.media_types import ARROW, PARQUET
from serving.inference.model import LoadedModel
from serving.tables.messages import Reason
from serving.tables.pool import TooLargeError
from tests.serving.penguins import FEATURES
from tests.serving.tables.conftest import Workshop
from tests.serving.tables.processes import LARGE, SMALL, TABLES, is_spare, launchers, spare, workers

pytestmark = pytest.mark.programs


def reason(workshop: Workshop, model: LoadedModel, table: tuple[str, bytes]) -> str:
    """Return the reason why a table has no answer."""
    with pytest.raises(InvalidError) as refused:
        workshop.answer(model, *table)
    return refused.value.invalid.detail[0].type


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table[0])
def test_table_is_answered(workshop: Workshop, model: LoadedModel, table: tuple[str, bytes]) -> None:
    assert workshop.answer(model, *table)


def test_each_table_has_a_worker_of_its_own(workshop: Workshop, model: LoadedModel) -> None:
    workshop.answer(model, *SMALL)
    seen = set()
    for _ in range(3):
        seen.add(spare(workshop).pid)
        workshop.answer(model, *SMALL)
    assert len(seen) == 3


# Each ended the process that read it: the sizes in the footer of Parquet, and a decimal's scale in Arrow.
KILLERS = [(PARQUET, {-996: 0}), (PARQUET, {-931: 127}), (ARROW, {68: 226, 20: 84})]


@pytest.mark.parametrize(("media_type", "changes"), KILLERS)
def test_damaged_table_is_refused(
    workshop: Workshop, model: LoadedModel, media_type: str, changes: dict[int, int]
) -> None:
    body = bytearray(sound()[media_type][1 if media_type == ARROW else 0])
    for place, value in changes.items():
        body[place] = value
    reason(workshop, model, (media_type, bytes(body)))
    assert workshop.answer(model, *SMALL)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(signal.SIGSEGV, Reason.CRASHED), (signal.SIGABRT, Reason.CRASHED), (signal.SIGKILL, Reason.KILLED)],
)
def test_end_of_a_worker_is_told_to_its_client_only(
    workshop: Workshop, model: LoadedModel, number: signal.Signals, expected: Reason
) -> None:
    workshop.answer(model, *SMALL)
    worker = spare(workshop)

    async def both() -> tuple[InvalidError | bytes, bytes]:
        killed = asyncio.create_task(workshop.answering(model, *LARGE))
        while len(workers()) < 2:
            await asyncio.sleep(0.001)
        os.kill(worker.pid, number)
        other = await workshop.answering(model, *SMALL)
        (outcome,) = await asyncio.gather(killed, return_exceptions=True)
        return outcome, other  # type: ignore[return-value]

    outcome, other = workshop.run(both())
    assert isinstance(outcome, InvalidError)
    assert outcome.invalid.detail[0].type == f"table_{expected}"
    assert other == workshop.answer(model, *SMALL)


def test_end_of_the_spare_worker_goes_unnoticed(workshop: Workshop, model: LoadedModel) -> None:
    workshop.answer(model, *SMALL)
    before = launchers()
    killed = spare(workshop)
    killed.kill()
    workshop.until(lambda: not killed.is_running())
    assert workshop.answer(model, *SMALL)
    assert launchers() == before


def test_worker_of_a_client_that_has_gone_is_ended(workshop: Workshop, model: LoadedModel) -> None:
    workshop.answer(model, *SMALL)
    worker = spare(workshop)

    async def give_up() -> None:
        task = asyncio.create_task(workshop.answering(model, *LARGE))
        while len(workers()) < 2:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    workshop.run(give_up())
    workshop.until(lambda: not worker.is_running())


@pytest.fixture
def limited(request: pytest.FixtureRequest) -> Iterator[Workshop]:
    """Workers with other limits."""
    workshop = Workshop(**request.param)
    yield workshop
    workshop.close()


@pytest.mark.parametrize("limited", [{"table_memory_bytes": 1}], indirect=True)
def test_worker_above_its_memory_is_ended(limited: Workshop, model: LoadedModel) -> None:
    assert reason(limited, model, LARGE) == "table_memory"


@pytest.mark.parametrize(
    "limited", [{"table_processor_seconds": 0.01}, {"table_processor_seconds": 0.3}], indirect=True
)
def test_worker_above_its_time_is_ended(limited: Workshop, model: LoadedModel) -> None:
    assert reason(limited, model, LARGE) == "table_time"


@pytest.mark.parametrize("limited", [{"table_processor_seconds": 0.3}], indirect=True)
def test_worker_that_stands_still_is_ended(limited: Workshop, model: LoadedModel) -> None:
    others = launchers()  # of the other tests
    limited.answer(model, *SMALL)
    (launcher,) = set(launchers()) - set(others)
    limited.until(lambda: [is_spare(worker) for worker in launcher.children()] == [True])
    launcher.children()[0].send_signal(signal.SIGSTOP)  # it takes no time of a processor
    assert reason(limited, model, SMALL) == "table_time"


@pytest.mark.parametrize("limited", [{"max_answer_bytes": 100}], indirect=True)
def test_answer_above_its_size_is_refused(limited: Workshop, model: LoadedModel) -> None:
    with pytest.raises(TooLargeError, match="the answer would have more than 100 bytes"):
        limited.answer(model, *SMALL)


def test_many_rows_in_a_small_file_are_refused(workshop: Workshop, model: LoadedModel) -> None:
    rows = pa.table(dict.fromkeys(FEATURES, np.full(5_000_000, 181.0)))
    body = parquet(rows)
    assert len(body) < 2**20
    with pytest.raises(TooLargeError, match="the table has more than 4194304 rows"):
        workshop.answer(model, PARQUET, body)


def test_worker_gives_way_to_others(workshop: Workshop, model: LoadedModel) -> None:
    workshop.answer(model, *SMALL)
    worker = spare(workshop)
    lowest = 19  # the tests may have been given a low priority already
    workshop.until(lambda: worker.nice() == min(lowest, launchers()[0].nice() + 10))
    workshop.until(lambda: Path(f"/proc/{worker.pid}/oom_score_adj").read_text() == "1000\n")

"""The client for asynchronous programs."""

from pathlib import Path

import anyio
import pytest

from local.ports import free_ports
from penguins_client import AsyncClient, Client, RefusedError, Truth, UnavailableError
from tests.serving import mixed
from tests.serving.service import PENGUIN

pytestmark = [pytest.mark.programs, pytest.mark.anyio]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_its_answers_are_those_of_the_other(url: str, tmp_path: Path) -> None:
    source, target, other = (tmp_path / name for name in ("grapes.csv", "answers.csv", "other.csv"))
    source.write_bytes(mixed.encoded(mixed.table(), "text/csv"))
    rows = [mixed.as_json(row) for row in mixed.ROWS]
    async with AsyncClient(url, model="grapes") as client:
        answer = await client.predict(rows)
        table = await client.predict_table(mixed.table())
        file = await client.predict_file(source, target)
        assert await client.feedback(Truth(f"{answer.prediction_id}/1", "white")) == 1
        (tmp_path / "truths.csv").write_text(f"prediction_id,class\n{file.prediction_id}/1,white\n")
        assert await client.feedback_file(tmp_path / "truths.csv") == 1
        assert (await client.state())["model"]["version"] == answer.model_version == table.model_version
    with Client(url, model="grapes") as client:
        assert client.predict(rows).probabilities == answer.probabilities
        assert client.predict_table(mixed.table()).table.equals(table.table)
        client.predict_file(source, other)
    assert target.read_bytes() == other.read_bytes()


async def test_many_calls_at_once(url: str) -> None:
    labels = []

    async def ask() -> None:
        labels.extend((await client.predict(PENGUIN)).labels)

    async with AsyncClient(url) as client, anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(ask)
    assert len(labels) == 100


async def test_its_errors_are_those_of_the_other(url: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("bill_length_mm\n1\n")
    async with AsyncClient(url) as client:
        with pytest.raises(RefusedError, match="bill_depth_mm"):
            await client.predict_file(tmp_path / "rows.csv", tmp_path / "answers.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
    (port,) = free_ports(1)
    async with AsyncClient(f"http://127.0.0.1:{port}", retry_seconds=0.5) as client:
        with pytest.raises(UnavailableError, match="can't be reached"):
            await client.predict(PENGUIN)

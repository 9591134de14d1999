"""Tables of their own for runs that overlap, what is published of them, and how long they are kept."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from local.stack import Stack
from penguins.data import runs
from penguins.data.contract import PENGUINS
from penguins.data.dataset import read_processed, split
from penguins.data.ingest import load_raw
from penguins.data.preprocessing import preprocess
from penguins.data.runs import KEPT, Run, drop_old, find_table
from penguins.errors import UserError
from tests.penguins.data.conftest import HEADER, ROW

RAW, PROCESSED = PENGUINS.table("raw"), PENGUINS.table("processed")
START = datetime(2026, 1, 1, tzinfo=UTC)
SPECIES = ("Adelie", "Chinstrap", "Gentoo")


@pytest.fixture(autouse=True)
def _no_other_runs(connection: Connection[Any]) -> Iterator[None]:
    drop_all(connection)
    yield
    drop_all(connection)


def drop_all(connection: Connection[Any]) -> None:
    for (run_id,) in connection.execute("SELECT run_id FROM penguins_runs").fetchall():
        for name in (RAW, PROCESSED):
            runs.drop_table(connection, Run(run_id, START).table(name))
    connection.execute("TRUNCATE penguins_runs, penguins_published")


def run(number: int, started: int | None = None) -> Run:
    return Run(f"backfill__{number}", START + timedelta(minutes=number if started is None else started))


@pytest.fixture
def source(tmp_path: Path) -> Callable[[int], str]:
    """Files of 30 rows, in which the body mass tells the number of the file."""

    def write(number: int, *more: str) -> str:
        path = tmp_path / f"{number}.csv"
        rows = [ROW.replace("Adelie", SPECIES[row % 3]).replace("3750", str(3000 + number)) for row in range(30)]
        path.write_text(HEADER + "".join([*rows, *more]))
        return str(path)

    return write


def digest(connection: Connection[Any], of: Run | None) -> str:
    return split(read_processed(connection, run=of), 0.2, 42).digest


def published(connection: Connection[Any], table: str = RAW) -> int:
    """Return the number of the file whose rows are published."""
    ((mass,),) = connection.execute(SQL("SELECT DISTINCT body_mass_g FROM {}").format(Identifier(table))).fetchall()
    return int(mass) - 3000


def tables(connection: Connection[Any]) -> set[str]:
    found = connection.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^penguins_[a-z]+_[0-9a-f]{32}$'"
    )
    return {name for (name,) in found.fetchall()}


def test_runs_at_once_train_on_the_rows_that_each_would_have_alone(
    stack: Stack, connection: Connection[Any], source: Callable[[int], str]
) -> None:
    count = KEPT + 2
    alone = []
    for number in range(count):
        load_raw(connection, source(number), 0)
        preprocess(connection, 0)
        alone.append(digest(connection, None))
    step = threading.Barrier(count, timeout=60)

    def whole(number: int) -> list[str]:
        mine, found = run(number), []
        with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as own:
            for _ in range(2):  # as it is, and cleared
                step.wait()
                load_raw(own, source(number), 0, mine)
                drop_old(own, lambda _: True)
                step.wait()
                preprocess(own, 0, run=mine)
                step.wait()
                found.append(digest(own, mine))
        return found

    with ThreadPoolExecutor(count) as pool:
        assert list(pool.map(whole, range(count))) == [[each, each] for each in alone]
    assert (published(connection, RAW), published(connection, PROCESSED)) == (count - 1, count - 1)
    assert digest(connection, None) == alone[-1]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_the_run_that_started_last_is_published(
    connection: Connection[Any], source: Callable[[int], str], order: tuple[int, ...]
) -> None:
    for number in order:
        load_raw(connection, source(number), 0, run(number))
    for number in order:
        preprocess(connection, 0, run=run(number))
    assert (published(connection, RAW), published(connection, PROCESSED)) == (3, 3)
    assert len({digest(connection, run(number)) for number in order}) == 3


def test_a_cleared_run_is_published_again_and_changes_no_other(
    connection: Connection[Any], source: Callable[[int], str]
) -> None:
    for number in (1, 2):
        load_raw(connection, source(number), 0, run(number))
        preprocess(connection, 0, run=run(number))
    before = digest(connection, run(2))
    load_raw(connection, source(3), 0, run(1, started=3))  # clearing gives a run a new start
    assert (published(connection, RAW), published(connection, PROCESSED)) == (3, 2)
    preprocess(connection, 0, run=run(2))
    assert digest(connection, run(2)) == before
    assert published(connection, PROCESSED) == 2


def test_a_load_by_hand_is_published_and_leaves_the_rows_of_runs(
    connection: Connection[Any], source: Callable[[int], str]
) -> None:
    load_raw(connection, source(1), 0, Run("of tomorrow", datetime.now(UTC) + timedelta(days=1)))
    load_raw(connection, source(2), 0)
    preprocess(connection, 0)
    assert (published(connection, RAW), published(connection, PROCESSED)) == (2, 2)
    preprocess(connection, 0, run=Run("of tomorrow", datetime.now(UTC) + timedelta(days=1)))
    assert published(connection, PROCESSED) == 1


def test_the_tables_of_the_last_runs_are_kept_and_those_of_active_ones(
    connection: Connection[Any], source: Callable[[int], str]
) -> None:
    broken = ROW.replace("181", "tall")
    for number in range(1, KEPT + 4):
        load_raw(connection, source(number, broken), 1, run(number))
        preprocess(connection, 0, run=run(number))
        drop_old(connection, lambda run_id: run_id == run(2).id)
    ended = [1, 3]
    kept = [number for number in range(1, KEPT + 4) if number not in ended]
    assert len({digest(connection, run(number)) for number in kept}) == KEPT + 1
    for number in ended:
        gone = f"the rows of backfill__{number} are gone from penguins_raw: only the last 5 .* Clear load_raw too"
        with pytest.raises(UserError, match=gone):
            preprocess(connection, 0, run=run(number))
        with pytest.raises(UserError, match="are gone from penguins_processed"):
            digest(connection, run(number))
    assert tables(connection) == {
        run(number).table(name) for number in kept[:-1] for name in (RAW, PROCESSED)
    }  # the last run's are published
    rejected = connection.execute("SELECT DISTINCT run_id FROM penguins_rejected").fetchall()
    assert {run_id for (run_id,) in rejected} == {run(number).id for number in kept}


def test_a_dropped_run_can_be_loaded_again(connection: Connection[Any], source: Callable[[int], str]) -> None:
    for number in range(KEPT + 2):
        load_raw(connection, source(number), 0, run(number))
        drop_old(connection, lambda _: False)
    load_raw(connection, source(0), 0, run(0, started=10))
    preprocess(connection, 0, run=run(0, started=10))
    assert published(connection, PROCESSED) == 0


def test_runs_that_could_not_load_displace_no_other(connection: Connection[Any], source: Callable[[int], str]) -> None:
    load_raw(connection, source(0), 0, run(0))
    for number in range(1, KEPT + 2):
        with pytest.raises(UserError):
            load_raw(connection, "no such file", 0, run(number))
        runs.drop_table(connection, f"{run(number).table(RAW)}_staging")
        connection.execute(f"CREATE TABLE {run(number).table(RAW)}_staging ()")  # as after a kill
    load_raw(connection, source(9), 0, run(9))
    drop_old(connection, lambda _: False)
    preprocess(connection, 0, run=run(0))
    assert tables(connection) == {run(0).table(RAW)}
    found = connection.execute("SELECT run_id, hash FROM penguins_runs").fetchall()
    assert dict(found) == {run(number).id: run(number).hash for number in (0, 9)}


def test_a_table_that_something_depends_on_is_kept_and_named(
    connection: Connection[Any], source: Callable[[int], str], caplog: pytest.LogCaptureFixture
) -> None:
    load_raw(connection, source(1), 0, run(1))
    connection.execute("CREATE VIEW heavy AS SELECT * FROM penguins_raw WHERE body_mass_g > 5000")
    with pytest.raises(UserError, match="view heavy depends on table penguins_raw"):
        load_raw(connection, source(2), 0, run(2))
    assert published(connection) == 1
    connection.execute("DROP VIEW heavy")
    load_raw(connection, source(2), 0, run(2))
    connection.execute(SQL("CREATE VIEW heavy AS SELECT * FROM {}").format(Identifier(run(1).table(RAW))))
    for number in range(3, KEPT + 3):
        load_raw(connection, source(number), 0, run(number))
    drop_old(connection, lambda _: False)
    assert "the tables of backfill__1 stay until the next load" in caplog.text
    connection.execute("DROP VIEW heavy")
    drop_old(connection, lambda _: False)
    assert run(1).table(RAW) not in tables(connection)


def test_rejected_rows_name_their_run(connection: Connection[Any], source: Callable[[int], str]) -> None:
    for number in (1, 2):
        for _ in range(2):
            load_raw(connection, source(number, ROW.replace("181", "tall")), 0.5, run(number))
    load_raw(connection, source(3, ROW.replace("181", "tall")), 0.5)
    found = connection.execute("SELECT run_id, source_row FROM penguins_rejected ORDER BY 1").fetchall()
    assert found == [("", 31), ("backfill__1", 31), ("backfill__2", 31)]


def test_a_run_of_any_id_is_a_plain_name(connection: Connection[Any], source: Callable[[int], str]) -> None:
    odd = Run('"; DROP TABLE penguins_raw; --' + "é%s{}" * 99, START)
    load_raw(connection, source(1), 0, odd)
    load_raw(connection, source(2), 0, run(2))
    preprocess(connection, 0, run=odd)
    with connection.transaction():
        assert find_table(connection, PENGUINS, "raw", odd) == Identifier(odd.table(RAW))

"""Errors near the end of a large load."""

import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from benchmarks import synthetic
from penguins.data.ingest import load_raw
from penguins.errors import UserError
from penguins.outages import describe_outage
from tests import stacks

ROWS = 1_000_000
GOOD = "Adelie,Torgersen,39.1,18.7,181,3750,male,2007\n"
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "penguins.csv"
    synthetic.write(path, ROWS)
    return path


@contextmanager
def ending(path: Path, text: str) -> Iterator[str]:
    """Append a text to the file during the block."""
    size = path.stat().st_size
    with path.open("a") as file:
        file.write(text)
    yield str(path)
    os.truncate(path, size)


def count(connection: Connection[Any], table: str) -> int:
    (number,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)  # noqa: S608
    return int(number)


def test_bad_rows_at_the_end_of_a_million_are_set_aside(connection: Connection[Any], million: Path) -> None:
    end = GOOD.replace("181", "tall") + "Adelie,39.1\n" + GOOD
    with ending(million, end) as source:
        report = load_raw(connection, source, 0.001)
    assert (report.rows, report.rejected) == (ROWS + 1, 2)
    found = connection.execute("SELECT source_row, reason FROM penguins_rejected ORDER BY source_row").fetchall()
    assert found == [
        (ROWS + 1, "flipper_length_mm: 'tall' is not a number"),
        (ROWS + 2, "2 columns instead of 8: 'Adelie,39.1'"),
    ]
    last = connection.execute("SELECT max(source_row), count(*) FROM penguins_raw").fetchone()
    assert last == (ROWS + 3, ROWS + 1)


def test_a_quote_not_closed_at_the_end_of_a_million_refuses_them(connection: Connection[Any], million: Path) -> None:
    load_raw(connection, "palmerpenguins", 0)
    with ending(million, '"' + GOOD * 3) as source, pytest.raises(UserError, match="a quote isn't closed"):
        load_raw(connection, source, 0.001)
    assert count(connection, "penguins_raw") == 344


def test_another_type_after_900_000_rows_refuses_the_file(connection: Connection[Any], million: Path) -> None:
    load_raw(connection, "palmerpenguins", 0)
    with (
        ending(million, GOOD.replace("3750", "heavy") * 100_000) as source,
        pytest.raises(UserError, match=r"100,000 of 1,100,000 rows \(9.1%\).*row 1000001: body_mass_g: 'heavy' is not"),
    ):
        load_raw(connection, source, 0.05)
    assert (count(connection, "penguins_raw"), count(connection, "penguins_rejected")) == (344, 0)


def test_a_file_that_grows_while_it_is_read_is_refused(connection: Connection[Any], million: Path) -> None:
    load_raw(connection, "palmerpenguins", 0)
    size, finished = million.stat().st_size, threading.Event()

    def grow() -> None:
        with million.open("a", buffering=1) as file:
            while not finished.wait(0.001):
                file.write(GOOD)

    growing = threading.Thread(target=grow)
    growing.start()
    try:
        with pytest.raises(UserError, match="the file was changed while it was read. Load it when it is complete"):
            load_raw(connection, str(million), 0.001)
    finally:
        finished.set()
        growing.join()
        os.truncate(million, size)
    assert count(connection, "penguins_raw") == 344


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Limit the size of files that this process and new child processes can write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def small_database(tmp_path: Path) -> Iterator[Connection[Any]]:
    """A database with room for a segment of its log (16 MB), but not for a million rows."""
    stack = stacks.copy(tmp_path)
    try:
        with no_file_above(20 * MEGABYTE):
            stack.up("init-db")
        with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as connection:
            yield connection
    finally:
        stack.down()


def test_a_full_disk_of_the_database_leaves_the_old_rows(small_database: Connection[Any], million: Path) -> None:
    load_raw(small_database, "palmerpenguins", 0)
    with pytest.raises(psycopg.Error) as raised:
        load_raw(small_database, str(million), 0)
    assert "Postgres doesn't answer or gave up: could not extend file" in str(describe_outage(raised.value))
    assert count(small_database, "penguins_raw") == 344
    assert load_raw(small_database, "palmerpenguins", 0).rows == 344


def test_a_full_disk_of_the_task_leaves_the_old_rows(connection: Connection[Any], tmp_path: Path) -> None:
    load_raw(connection, "palmerpenguins", 0)
    source = tmp_path / "penguins.csv"
    source.write_text(",".join(synthetic.SCHEMA.names) + "\n" + GOOD.replace("181", "tall") * 50_000)
    with no_file_above(MEGABYTE), pytest.raises(OSError, match="File too large") as raised:
        load_raw(connection, str(source), 1)
    assert "no room on a disk of the machine that runs the task" in str(describe_outage(raised.value))
    assert count(connection, "penguins_raw") == 344

"""Replacing a table in one transaction, and limiting the share of rejected rows."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from local.stack import Stack
from penguins.data.ingest import load_raw
from penguins.data.runs import Run
from penguins.errors import UserError
from tests.penguins.data.conftest import HEADER, ROW


def test_comments_and_columns_outlive_a_load(connection: Connection[Any]) -> None:
    described = "SELECT obj_description('penguins_raw'::regclass), col_description('penguins_raw'::regclass, 4)"
    before = connection.execute(described).fetchone()
    load_raw(connection, "palmerpenguins", 0)
    assert connection.execute(described).fetchone() == before
    assert before is not None
    assert None not in before


def test_rights_outlive_a_load_and_a_view_is_named(connection: Connection[Any]) -> None:
    connection.execute("GRANT SELECT ON penguins_raw TO PUBLIC")
    load_raw(connection, "palmerpenguins", 0)
    granted = "SELECT relacl::text FROM pg_class WHERE oid = 'penguins_raw'::regclass"
    assert "=r/penguins" in str(connection.execute(granted).fetchone())
    connection.execute("CREATE VIEW heavy AS SELECT * FROM penguins_raw WHERE body_mass_g > 5000")
    with pytest.raises(UserError, match="penguins_raw can't be replaced.*view heavy depends on table penguins_raw"):
        load_raw(connection, "palmerpenguins", 0)
    connection.execute("DROP VIEW heavy")


def test_too_many_broken_rows_refuse_the_file(connection: Connection[Any], csv: Callable[[str], str]) -> None:
    text = HEADER + ROW * 7 + ROW.replace("3750", "heavy") * 3
    with pytest.raises(UserError, match=r"3 of 10 rows \(30.0%\).*PENGUINS_MAX_REJECTED_SHARE.*row 8: body_mass_g"):
        load_raw(connection, csv(text), 0.05)


def test_a_reader_never_sees_a_half_loaded_table(stack: Stack, connection: Connection[Any]) -> None:
    load_raw(connection, "palmerpenguins", 0)
    finished, counts = threading.Event(), set()

    def read() -> None:
        with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as reader:
            while not finished.is_set():
                counts.add(reader.execute("SELECT count(*) FROM penguins_raw").fetchone())

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(10):
        run = Run(f"manual__{number % 3}", datetime.now(UTC)) if number % 2 else None
        load_raw(connection, "palmerpenguins", 0, run)
    finished.set()
    for reader in readers:
        reader.join()
    assert counts == {(344,)}

"""Fixtures for the prediction log: rows that the shipper has brought in."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from contract.segments import READY, SegmentName
from local.stack import Stack
from shipper.database import Database, connect
from tests.local.test_init_db import connect_as_superuser
from tests.serving.log.conftest import spool, start
from tests.shipper.conftest import TABLES

__all__ = ["spool", "start"]

Ship = Callable[[SegmentName], None]


@pytest.fixture
def log(stack: Stack) -> Iterator[Connection[Any]]:
    """The pipeline's session, on an empty log without views."""
    with connect_as_superuser(stack, "penguins") as superuser:
        superuser.execute(f"TRUNCATE {TABLES}")
    with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as opened:
        views = opened.execute("SELECT relname FROM pg_class WHERE relkind = 'v' AND relname LIKE 'wine%'").fetchall()
        for (name,) in views:
            opened.execute(f"DROP VIEW {name}")
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of segments."""
    return tmp_path


@pytest.fixture
def ship(stack: Stack, folder: Path) -> Ship:
    """Bring in a segment."""

    def bring(name: SegmentName) -> None:
        address = stack.config.database_url("shipper")
        with connect(address) as connection, (folder / READY / str(name)).open("rb") as file:
            assert Database(connection).ship(name, file, lambda: None) is not None

    return bring

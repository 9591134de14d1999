"""The lock between processes, on two real connections."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import Connection, sql

from local.stack import Stack
from penguins.errors import UserError
from penguins.locks import exclusive_lock


@pytest.fixture
def other(stack: Stack) -> Iterator[Connection[Any]]:
    with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as opened:
        yield opened


def test_another_connection_waits_no_longer_than_its_timeout(
    connection: Connection[Any], other: Connection[Any]
) -> None:
    with (
        exclusive_lock(connection, "a test"),
        pytest.raises(UserError, match="The a test is being decided on right now"),
        exclusive_lock(other, "a test", timeout=1),
    ):
        pytest.fail("two connections hold the lock")


def test_the_lock_ends_with_its_outermost_block(connection: Connection[Any], other: Connection[Any]) -> None:
    with exclusive_lock(connection, "a test"):
        with exclusive_lock(connection, "a test"):
            pass
        with pytest.raises(UserError), exclusive_lock(other, "a test", timeout=1):
            pytest.fail("the inner block has released the lock")
    with exclusive_lock(other, "a test", timeout=1):
        pass


def test_the_lock_ends_with_an_error_and_with_its_connection(
    stack: Stack, connection: Connection[Any], other: Connection[Any]
) -> None:
    with pytest.raises(ZeroDivisionError), exclusive_lock(connection, "a test"):
        raise ZeroDivisionError
    with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as broken:
        kill = sql.SQL("SELECT pg_terminate_backend({})").format(broken.info.backend_pid)
        with pytest.raises(psycopg.OperationalError), exclusive_lock(broken, "a test"):
            broken.execute(kill)
    with exclusive_lock(other, "a test", timeout=1):
        pass


def test_locks_of_other_names_are_free(connection: Connection[Any], other: Connection[Any]) -> None:
    with exclusive_lock(connection, "a test"), exclusive_lock(other, "another", timeout=1):
        pass

"""The pipeline's database, through Airflow's connection to it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, cast

from airflow.providers.postgres.hooks.postgres import PostgresHook
from psycopg import Connection

from penguins.settings import settings


@contextmanager
def connect() -> Iterator[Connection[Any]]:
    """A connection in autocommit mode: only `connection.transaction()` makes a transaction."""
    hook = PostgresHook(settings().connection_id)
    with closing(cast("Connection[Any]", hook.get_conn())) as connection:
        connection.autocommit = True
        yield connection


@contextmanager
def alone(connection: Connection[Any], what: str) -> Iterator[None]:
    """Do something that only one process may do at a time, on whatever machine: others wait here."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [what])
        yield

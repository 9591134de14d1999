"""The pipeline's database, through Airflow's connection to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.postgres.hooks.postgres import PostgresHook
from psycopg import Connection

from penguins.settings import settings

if TYPE_CHECKING:
    from contract.schema import DataContract
    from penguins.data.dataset import Dataset
    from penguins.data.runs import Run


@contextmanager
def connect() -> Iterator[Connection[Any]]:
    """Open a connection in autocommit mode: only `connection.transaction()` starts a transaction."""
    hook = PostgresHook(settings().connection_id)
    with closing(cast("Connection[Any]", hook.get_conn())) as connection:
        connection.autocommit = True
        yield connection


def read_dataset(contract: DataContract, params: Mapping[str, Any], run: Run) -> Dataset:
    """Read the processed rows of a DAG run of a contract, and split them by its parameters."""
    from penguins.data.dataset import read_processed, split  # imports pandas, which other tasks don't need
    from penguins.data.lineage import read_source
    from penguins.data.processed import count_production_rows

    with connect() as connection:
        data = split(read_processed(connection, contract, run), params["holdout_share"], params["seed"], contract)
        joined = count_production_rows(connection, contract, run)
        return replace(data, source=read_source(connection, run, contract), production_rows=joined)

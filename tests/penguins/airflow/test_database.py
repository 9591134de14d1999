"""The database through Airflow's connection."""

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from local.stack import Stack
from penguins.airflow import database
from penguins.data.dataset import Dataset
from penguins.data.ingest import load_raw
from penguins.data.preprocessing import preprocess
from penguins.data.runs import Run
from tests.penguins import ours


@pytest.fixture(autouse=True)
def _connection(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PENGUINS_DB", stack.environment["AIRFLOW_CONN_PENGUINS_DB"])


def test_a_statement_is_committed_at_once_and_the_connection_closed() -> None:
    with database.connect() as connection:
        assert connection.autocommit
        assert connection.execute("SELECT current_user").fetchone() == ("penguins",)
    with pytest.raises(psycopg.OperationalError, match="closed"):
        connection.execute("SELECT 1")


def test_the_rows_of_a_run_are_split_by_its_parameters(connection: Connection[Any], data: Dataset) -> None:
    run = Run("manual__1", datetime.now(UTC))
    load_raw(connection, "palmerpenguins", 0, run)
    preprocess(connection, 0, run=run)
    preprocess(connection, 0)
    connection.execute("TRUNCATE penguins_processed")
    read = database.read_dataset(ours.contract(), {"holdout_share": 0.4, "seed": 7}, run)
    assert (read.digest, read.holdout_share, read.seed) == (data.digest, 0.4, 7)
    assert read.source is not None
    assert (read.source.address, read.source.rows) == ("palmerpenguins", 344)

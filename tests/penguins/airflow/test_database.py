"""The database through Airflow's connection."""

import psycopg
import pytest

from local.stack import Stack
from penguins.airflow import database
from penguins.data.dataset import Dataset


@pytest.fixture(autouse=True)
def _connection(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PENGUINS_DB", stack.environment["AIRFLOW_CONN_PENGUINS_DB"])


def test_a_statement_is_committed_at_once_and_the_connection_closed() -> None:
    with database.connect() as connection:
        assert connection.autocommit
        assert connection.execute("SELECT current_user").fetchone() == ("penguins",)
    with pytest.raises(psycopg.OperationalError, match="closed"):
        connection.execute("SELECT 1")


def test_the_rows_are_split_by_the_parameters_of_the_run(data: Dataset) -> None:
    read = database.read_dataset({"holdout_share": 0.4, "seed": 7})
    assert (read.digest, read.holdout_share, read.seed) == (data.digest, 0.4, 7)

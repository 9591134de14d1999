"""The pipeline's library on a real database and a real MLflow server, one experiment and model a test."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from local.stack import Stack
from penguins import ingest, preprocessing, tracking
from penguins.dataset import Dataset, read_processed, split
from penguins.settings import settings

GRID = {"n_estimators": [2, 5, 10, 20], "max_depth": [1, 2, 3, None, 8]}


@pytest.fixture
def connection(stack: Stack) -> Iterator[Connection[Any]]:
    """The database `penguins`, with empty tables."""
    with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as opened:
        opened.execute("TRUNCATE penguins_raw, penguins_processed, penguins_rejected")
        yield opened


@pytest.fixture
def mlflow(stack: Stack, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """MLflow, with an experiment and a registered model of this test's own."""
    name = re.sub(r"\W+", "_", request.node.name)
    with pointed_at(stack, monkeypatch, experiment=f"experiment_{name}", model_name=f"model_{name}"):
        yield


@contextmanager
def pointed_at(stack: Stack, monkeypatch: pytest.MonkeyPatch, experiment: str, model_name: str) -> Iterator[None]:
    """The library's settings, set to the stack's MLflow and these names."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", stack.environment["MLFLOW_TRACKING_URI"])
    monkeypatch.setenv("PENGUINS_EXPERIMENT", experiment)
    monkeypatch.setenv("PENGUINS_MODEL_NAME", model_name)
    settings.cache_clear()
    tracking.client.cache_clear()
    yield
    settings.cache_clear()
    tracking.client.cache_clear()


@pytest.fixture
def data(connection: Connection[Any]) -> Dataset:
    """The real penguins, loaded and processed."""
    return real_penguins(connection)


def real_penguins(connection: Connection[Any]) -> Dataset:
    """Load, process and split the real penguins."""
    ingest.load_raw(connection, "palmerpenguins", 0)
    preprocessing.preprocess(connection, 0)
    return split(read_processed(connection), 0.2, 42)

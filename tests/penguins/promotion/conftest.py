"""A real database whose tables stay as they are, and three versions to decide about."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from local.stack import Stack
from tests.penguins.conftest import made_up_version


@pytest.fixture
def connection(stack: Stack) -> Iterator[Connection[Any]]:
    with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as opened:
        yield opened


@pytest.fixture
def versions(mlflow: None, tmp_path: Path) -> list[ModelVersion]:
    del mlflow
    return [made_up_version(tmp_path) for _ in range(3)]

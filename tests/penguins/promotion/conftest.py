"""A real database whose tables stay as they are, and three versions to decide about."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from local.stack import Stack
from tests.penguins.conftest import MadeUp, made_up_model, made_up_version, pointed_at, version_of


@pytest.fixture
def connection(stack: Stack) -> Iterator[Connection[Any]]:
    with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as opened:
        yield opened


@pytest.fixture(scope="session")
def models(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> list[MadeUp]:
    """Three logged models that every test may register, and none may change."""
    with pytest.MonkeyPatch.context() as patch, pointed_at(stack, patch, "made_up", "unused"):
        return [made_up_model(tmp_path_factory.mktemp("model")) for _ in range(3)]


@pytest.fixture
def versions(mlflow: None, models: list[MadeUp]) -> list[ModelVersion]:
    del mlflow
    return [version_of(model) for model in models]


@pytest.fixture
def own_versions(mlflow: None, tmp_path: Path) -> list[ModelVersion]:
    """Three versions whose logged models and files the test may change."""
    del mlflow
    return [made_up_version(tmp_path) for _ in range(3)]

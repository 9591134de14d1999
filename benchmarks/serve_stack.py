"""A separate stack with trained versions, for the measurements of the service."""

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import psycopg
from mlflow.entities.model_registry import ModelVersion

from local.settings import Settings
from local.stack import Stack
from penguins.data.dataset import Dataset, read_processed, split
from penguins.data.ingest import load_raw
from penguins.data.preprocessing import preprocess
from penguins.promotion import decisions
from penguins.promotion.registration import register_best
from penguins.registry import model_versions
from penguins.training.estimators import Grid
from penguins.training.training import grid_train, open_run

PENGUIN = {"bill_length_mm": 39.1, "bill_depth_mm": 18.7, "flipper_length_mm": 181, "body_mass_g": 3750}


@contextmanager
def trained_stack(versions: int) -> Iterator[tuple[Stack, list[ModelVersion]]]:
    """Run MLflow, PostgreSQL and S3 during the block, with registered forests of 100 trees; the first is promoted."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # Without cached bytecode a start takes several times as long.
    warnings.simplefilter("ignore")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Settings.on_free_ports(Path(folder))).running("mlflow") as stack,
    ):
        os.environ |= stack.environment
        mlflow.set_tracking_uri(stack.urls["mlflow"])
        with _connect() as connection:
            load_raw(connection, "palmerpenguins", 0)
            preprocess(connection, 0)
            data = split(read_processed(connection), 0.2, 42)
        made = [_register(data, number) for number in range(versions)]
        promote(made[0])
        yield stack, made


def promote(version: ModelVersion) -> None:
    """Put a version in Production."""
    with _connect() as connection:
        decisions.promote(connection, version, "the drill wants it", by="drill")


def _connect() -> psycopg.Connection[Any]:
    return psycopg.connect(os.environ["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True)


def _register(data: Dataset, number: int) -> ModelVersion:
    # grid_train needs at least twenty candidates; different grids give different forests.
    grid: Grid = {"n_estimators": [100], "min_samples_split": list(range(2, 22)), "max_depth": [4 + number]}
    name = f"made_{number}"
    grid_train(data, grid, 2, open_run(data, grid, 2, name, connect=_connect), connect=_connect)
    with _connect() as connection:
        version = register_best(connection, data, name).version
    return model_versions.version(data.contract.training.registered_model, version)

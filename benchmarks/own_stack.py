"""A separate stack for a measurement."""

import logging
import os
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import psycopg

from local.settings import Settings
from local.stack import Stack
from penguins.data.dataset import Dataset, read_processed, split
from penguins.data.ingest import load_raw
from penguins.data.preprocessing import preprocess
from penguins.settings import settings


@contextmanager
def own_stack(**variables: str) -> Iterator[Stack]:
    """Run MLflow, PostgreSQL and S3 during the block, with their environment and more variables in this process."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as of `timeout`: the stack ends with the block
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # processes that are started would compile all code again
    warnings.simplefilter("ignore")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Settings.on_free_ports(Path(folder))).running("mlflow") as stack,
    ):
        os.environ |= stack.environment | variables
        settings.cache_clear()  # they were read when the penguins' contract was
        mlflow.set_tracking_uri(stack.urls["mlflow"])
        yield stack


def connect() -> psycopg.Connection[Any]:
    """Connect to the pipeline's database."""
    return psycopg.connect(os.environ["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True)


def load_penguins() -> Dataset:
    """Load the packaged penguins into their tables, and return the rows with a fifth held out."""
    with connect() as connection:
        load_raw(connection, "palmerpenguins", 0)
        preprocess(connection, 0)
        return split(read_processed(connection), 0.2, 42)

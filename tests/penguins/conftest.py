"""Fixtures for the pipeline's library: a real database and a real MLflow server, with an experiment for each test."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection
from sklearn.base import ClassifierMixin

from contract.digests import MANIFEST_FILE, MODEL_FILE, ONNX_FILE, digest_files
from local.settings import REPO
from local.stack import Stack
from penguins import signing
from penguins.data import ddl, ingest, preprocessing
from penguins.data.contract import or_penguins
from penguins.data.dataset import Dataset, read_processed, split
from penguins.registry import model_versions
from penguins.settings import settings
from penguins.training import candidate_runs, tracking
from penguins.training.candidate_records import Connect
from penguins.training.grid import Candidate
from penguins.training.search import Fitted
from penguins.training.tracking import client, experiment_id
from tests.penguins import ours

# Five of the twenty need more memory than any machine has. For gradient boosting, which allocates at once.
TOO_MANY_TREES = {"n_estimators": [2, 5, 10, 2**60], "max_depth": [1, 2, 3, 4, None]}
GRID = {"n_estimators": [2, 5, 10, 20], "max_depth": [1, 2, 3, None, 8]}


@pytest.fixture
def connection(stack: Stack) -> Iterator[Connection[Any]]:
    """The database `penguins`, with empty tables."""
    with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as opened:
        make_tables(opened)
        opened.execute("TRUNCATE penguins_raw, penguins_processed, penguins_rejected, penguins_published")
        yield opened


def make_tables(connection: Connection[Any]) -> None:
    """Make the penguins' tables as their first run does, if they are missing."""
    contract = or_penguins(None)
    kinds: tuple[ddl.Kind, ...] = ("raw", "processed")
    for name, kind in ((contract.table(kind), kind) for kind in kinds):
        if not ddl.read_fields(connection, name):
            ddl.create_staging(connection, contract, kind, name)
    ddl.create_rejected(connection, contract)


@pytest.fixture
def connect(stack: Stack) -> Connect:
    """Open connections to the database `penguins`."""
    return connect_to(stack)


def connect_to(stack: Stack) -> Connect:
    """Return a function that opens connections to the database `penguins`."""
    return partial(psycopg.connect, stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True)


@pytest.fixture
def mlflow(stack: Stack, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """MLflow, with an experiment and a registered model of this test's own."""
    name = re.sub(r"\W+", "_", request.node.name)
    with pointed_at(stack, monkeypatch, experiment=f"experiment_{name}", model_name=f"model_{name}"):
        yield


@contextmanager
def pointed_at(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, experiment: str, model_name: str, **others: object
) -> Iterator[None]:
    """Set the library's settings to the stack's MLflow, these names, and `others` by their names in Settings."""
    # One process, because starting a second one takes longer than fitting these small grids.
    for name, value in ({"jobs": 1} | others).items():
        monkeypatch.setenv(f"PENGUINS_{name.upper()}", str(value))
    for name in ("MLFLOW_TRACKING_URI", "PENGUINS_SIGNING_KEY", "PENGUINS_TRUSTED_KEYS"):
        monkeypatch.setenv(name, stack.environment[name])
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
    contract = ours.contract()
    return split(read_processed(connection, contract), 0.2, 42, contract)


@dataclass(frozen=True)
class MadeUp:
    """A logged model with small files, its run, and sha256 of the files by path."""

    model_id: str
    run_id: str
    digests: dict[str, str]


def made_up_model(folder: Path, model_file: bytes = b"a model") -> MadeUp:
    """Log a model with small files."""
    (folder / MODEL_FILE).write_bytes(model_file)
    (folder / ONNX_FILE).parent.mkdir(exist_ok=True)
    (folder / ONNX_FILE).write_bytes(b"an export")
    shutil.copy(REPO / "tests/contract/version_1" / MANIFEST_FILE, folder / MANIFEST_FILE)
    run = client().create_run(experiment_id(ours.contract()))
    model = client().create_logged_model(run.info.experiment_id, name="made_up", source_run_id=run.info.run_id)
    client().log_model_artifacts(model.model_id, str(folder))
    client().finalize_logged_model(model.model_id, "READY")
    return MadeUp(model.model_id, run.info.run_id, digest_files(folder))


def made_up_version(folder: Path, model_file: bytes = b"a model") -> ModelVersion:
    """Register a version of a model of its own, with correct digests and made-up tags."""
    return version_of(made_up_model(folder, model_file))


def version_of(model: MadeUp) -> ModelVersion:
    """Register a version of a model with correct digests and made-up tags."""
    tags = {
        "digests": json.dumps(model.digests),
        "data_digest": "of the rows",
        "dag_run_id": "manual__1",
        "git_commit": "abc",
        "signature": signing.sign("version", ours.model(), model.model_id, model.digests),
    }
    return model_versions.create_version(ours.contract(), model.model_id, model.run_id, tags, description="")


def logged_candidate(data: Dataset, dag_run_id: str, model: ClassifierMixin | None = None) -> Run:
    """Fit a model, by default a forest of two trees, log it as the only candidate of a DAG run, and return its run."""
    parent = tracking.open_parent(dag_run_id, {}, data)
    candidate = Candidate({"n_estimators": 2})
    model = candidate.model(random_state=0) if model is None else model
    model.fit(data.features.iloc[data.train], data.labels[data.train])
    candidate_runs.log_candidate(Fitted(candidate, model, {"holdout_accuracy": 0.5}), parent, data, "a fingerprint")
    (run,) = ours.find_candidates(dag_run_id)
    return run

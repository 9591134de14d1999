"""The runs of a DAG run in MLflow: one parent, and a child for each candidate."""

import json
import logging
import os
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, TypeVar

import mlflow
from mlflow.entities import Dataset as RunDataset
from mlflow.entities import DatasetInput, LifecycleStage, Param, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_RUN_NOTE, MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE
from pydantic import FiniteFloat, TypeAdapter, ValidationError

from penguins.data.dataset import Dataset
from penguins.errors import UserError
from penguins.settings import settings

# Tags of ours on runs and versions; docs/reference/contract.md lists them.
DAG_RUN: Final = "dag_run_id"
DATA_DIGEST: Final = "data_digest"
SPLIT: Final = "split"
GIT_COMMIT: Final = "git_commit"
ROLE: Final = "role"
LEFT_OUT: Final = "left_out"  # with the number of the shard after it
METRIC: Final = TypeAdapter[float](FiniteFloat)  # of a tag that holds a number
PARENT, CANDIDATE, SUPERSEDED = "grid", "candidate", "superseded"

Parsed = TypeVar("Parsed")

_EXPERIMENT_TAGS: Final = {
    MLFLOW_RUN_NOTE: "Candidates of the DAG penguins_training: one parent run a DAG run, one child run a candidate.",
    "mlflow.experimentKind": "custom_model_development",  # the UI then shows runs and models, not traces
}


@cache
def client() -> mlflow.MlflowClient:
    """The client of this process, patient for seconds rather than MLflow's ten minutes."""
    for name, value in {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # costs a request a run, and 24 lines in the log
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }.items():
        os.environ.setdefault(name, value)
    mlflow.set_tracking_uri(settings().mlflow_tracking_uri)
    # It warns of pickle for every model. Ours are loaded only if their digest is the recorded one.
    logging.getLogger("mlflow.sklearn").setLevel(logging.ERROR)
    return mlflow.MlflowClient()


def experiment_id() -> str:
    """Return the id of our experiment, and create the experiment if there is none.

    Raises:
        UserError: it was deleted.
    """
    return _find_experiment() or client().create_experiment(settings().experiment, tags=_EXPERIMENT_TAGS)


def _find_experiment() -> str | None:
    name = settings().experiment
    found = client().get_experiment_by_name(name)
    if found is None:
        return None
    if found.lifecycle_stage == LifecycleStage.DELETED:
        raise UserError(
            f"The MLflow experiment {name!r} was deleted. Restore it with `mlflow experiments restore "
            f"--experiment-id {found.experiment_id}`, or choose another name with PENGUINS_EXPERIMENT."
        )
    return str(found.experiment_id)


def open_parent(dag_run_id: str, params: Mapping[str, Any], data: Dataset) -> Run:
    """The parent run of a DAG run, made at the first call and opened again at later ones."""
    found = find_parent(dag_run_id)
    if found is not None:
        client().update_run(found.info.run_id, status="RUNNING")
        # the data may be another by now: logged here first, for MLflow can't take a new dataset from two at once
        client().log_inputs(found.info.run_id, [dataset_input(data)])
        return found
    run = client().create_run(
        experiment_id(), run_name=dag_run_id, tags={**source_tags(dag_run_id, data), ROLE: PARENT}
    )
    client().log_batch(run.info.run_id, params=[Param(name, json.dumps(value)) for name, value in params.items()])
    client().log_inputs(run.info.run_id, [dataset_input(data)])
    return run


def find_parent(dag_run_id: str) -> Run | None:
    """The parent run of a DAG run, if there is one."""
    return next(iter(_search(dag_run_id, PARENT)), None)


def note_left_out(parent: Run, shard: int, candidates: int) -> None:
    """Write on the parent run how many candidates of a shard the time budget left no time for."""
    client().set_tag(parent.info.run_id, f"{LEFT_OUT}.{shard}", str(candidates))


def left_out(dag_run_id: str) -> str:
    """In words, for a verdict, how many candidates of a DAG run weren't tried; empty if all were."""
    parent = find_parent(dag_run_id)
    tags = parent.data.tags if parent else {}
    total = sum(int(value) for name, value in tags.items() if name.startswith(f"{LEFT_OUT}."))
    return f" ({total} candidates were left out for the time budget)" if total else ""


def find_candidates(dag_run_id: str) -> list[Run]:
    """The candidates' runs of a DAG run, whatever their status."""
    return _search(dag_run_id, CANDIDATE)


def _search(dag_run_id: str, role: str) -> list[Run]:
    if {"'", "\\"} & set(dag_run_id):  # a tag that somebody edited: Airflow has none ([core] allowed_run_id_pattern)
        return []
    experiment = _find_experiment()
    if experiment is None:
        return []
    query = f"tags.{DAG_RUN} = '{dag_run_id}' AND tags.{ROLE} = '{role}'"
    return list(client().search_runs([experiment], query, max_results=50_000))


def source_tags(dag_run_id: str, data: Dataset) -> dict[str, str]:
    """Where a run comes from: DAG run, data and code."""
    return {
        DAG_RUN: dag_run_id,
        DATA_DIGEST: data.digest,
        SPLIT: split_of(data),
        MLFLOW_SOURCE_NAME: "dags/penguins_training.py",
        MLFLOW_SOURCE_TYPE: "JOB",
        MLFLOW_GIT_COMMIT: settings().git_commit,
    }


def split_of(data: Dataset) -> str:
    """What decides which rows are held out, beside the rows: models of one split never learned its hold-out."""
    return f"seed={data.seed} holdout_share={data.holdout_share}"


def tags_of(version: ModelVersion) -> dict[str, str]:
    """A version's tags and, where it was registered by hand, those of the run it was registered from."""
    if DATA_DIGEST in version.tags or not version.run_id:
        return dict(version.tags)
    try:
        tags = client().get_run(version.run_id).data.tags
        return {GIT_COMMIT: tags.get(MLFLOW_GIT_COMMIT, "unknown")} | tags | version.tags
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return dict(version.tags)


def parse(kind: TypeAdapter[Parsed], tag: str | None) -> Parsed | None:
    """What a tag says; None if it isn't there, or says what the pipeline wouldn't: people edit tags in MLflow's UI."""
    try:
        return kind.validate_python(tag)
    except ValidationError:
        return None


def dataset_input(data: Dataset) -> DatasetInput:
    """The rows a run learned from, as MLflow shows them beside the run."""
    columns = [{"name": name, "type": "double", "required": True} for name in data.features.columns]
    return DatasetInput(
        RunDataset(
            name="penguins_processed",
            digest=data.digest[:32],  # MLflow keeps 36 characters
            source_type="postgresql",
            source=json.dumps({"table": "penguins_processed", "connection": settings().connection_id}),
            schema=json.dumps({"mlflow_colspec": [*columns, {"name": "label", "type": "long", "required": True}]}),
            profile=json.dumps(
                {"num_rows": len(data.labels), "num_train": len(data.train), "num_holdout": len(data.holdout)}
                | {species: int((data.labels == label).sum()) for label, species in enumerate(data.contract.species)}
            ),
        )
    )

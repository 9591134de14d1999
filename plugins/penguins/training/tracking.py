"""The runs of a DAG run in MLflow: one parent, and a child for each candidate."""

import json
import logging
import os
import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

import mlflow
from mlflow.entities import Dataset as RunDataset
from mlflow.entities import DatasetInput, LifecycleStage, Param, Run
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_RUN_NOTE, MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE

from contract.schema import DataContract
from penguins.data.dataset import Dataset
from penguins.data.lineage import SourceFacts
from penguins.errors import UserError
from penguins.settings import settings
from penguins.training.artifacts import is_proxied
from penguins.training.sampling import Sample

# The pipeline's tags on runs and versions; docs/reference/contract.md lists them.
DAG_RUN: Final = "dag_run_id"
DATA_DIGEST: Final = "data_digest"
DATA_SOURCE: Final = "data_source"
SPLIT: Final = "split"
SAMPLE: Final = "sample"
GIT_COMMIT: Final = "git_commit"
ROLE: Final = "role"
CAUSE: Final = "trained_for"
MAX_TAG: Final = 5000  # characters
LEFT_OUT: Final = "left_out"  # followed by the number of the shard
PARENT, CANDIDATE, SUPERSEDED = "grid", "candidate", "superseded"


@cache
def client() -> mlflow.MlflowClient:
    """Return the client of this process, with timeouts of seconds instead of MLflow's ten minutes."""
    for name, value in {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # saves a request for each run, and 24 lines of log
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }.items():
        os.environ.setdefault(name, value)
    mlflow.set_tracking_uri(settings().mlflow_tracking_uri)
    # At each request MLflow tries eight times to import these, to learn whether it runs on Databricks.
    for name in ("dbruntime", "pyspark"):
        if find_spec(name) is None:
            sys.modules[name] = None  # type: ignore[assignment]  # an import then fails at once
    # Silence its warning about pickle for every model: only signed models are loaded.
    logging.getLogger("mlflow.sklearn").setLevel(logging.ERROR)
    return mlflow.MlflowClient()


def registry() -> Any:
    """Return MLflow's inner client, which has no types, for aliases, stages and tags of versions.

    The outer one asks before each write whether the registered model is a prompt: two requests instead of one.
    """
    outer: Any = client()
    return outer._get_registry_client()


def experiment_id(contract: DataContract) -> str:
    """Return the id of a contract's experiment, and create the experiment if there is none.

    Raises:
        UserError: it was deleted, or keeps its files elsewhere than behind MLflow's proxy.
    """
    name, dag = contract.training.experiment, contract.dag_id
    tags = {
        MLFLOW_RUN_NOTE: f"Candidates of the DAG {dag}: one parent run a DAG run, one child run a candidate.",
        "mlflow.experimentKind": "custom_model_development",  # the UI then shows runs and models, not traces
    }
    return find_experiment(name) or client().create_experiment(name, tags=tags)


def find_experiment(name: str) -> str | None:
    """Return the id of an experiment by its name, if there is one.

    Raises:
        UserError: it was deleted.
    """
    found = client().get_experiment_by_name(name)
    if found is None:
        return None
    if found.lifecycle_stage == LifecycleStage.DELETED:
        raise UserError(
            f"The MLflow experiment {name!r} was deleted. Restore it with `mlflow experiments restore "
            f"--experiment-id {found.experiment_id}`, or choose another name with PENGUINS_EXPERIMENT."
        )
    if not is_proxied(found.artifact_location):
        raise UserError(
            f"The MLflow experiment {name!r} keeps its files at {found.artifact_location}, not behind MLflow's proxy. "
            "Whoever made it chose where we would read and write. Choose another name with PENGUINS_EXPERIMENT."
        )
    return str(found.experiment_id)


def open_parent(dag_run_id: str, params: Mapping[str, Any], data: Dataset) -> Run:
    """Create the parent run of a DAG run, or open it again at later calls."""
    found = find_parent(data.contract.training.experiment, dag_run_id)
    if found is not None:
        client().update_run(found.info.run_id, status="RUNNING")
        # The data may have changed. It is logged here, because MLflow fails if two candidates log it at once.
        client().log_inputs(found.info.run_id, [dataset_input(data)])
        return found
    run = client().create_run(
        experiment_id(data.contract), run_name=dag_run_id, tags={**source_tags(dag_run_id, data), ROLE: PARENT}
    )
    client().log_batch(run.info.run_id, params=[Param(name, json.dumps(value)) for name, value in params.items()])
    client().log_inputs(run.info.run_id, [dataset_input(data)])
    return run


def find_parent(experiment: str, dag_run_id: str) -> Run | None:
    """Return the parent run of a DAG run in the experiment of that name, if there is one."""
    if {"'", "\\"} & set(dag_run_id):  # an edited tag: Airflow allows neither ([core] allowed_run_id_pattern)
        return None
    found = find_experiment(experiment)
    return next(iter(_search(found, dag_run_id, PARENT)), None) if found else None


def set_left_out(parent: Run, shard: int, candidates: int) -> None:
    """Tag the parent run with the number of a shard's candidates that the time budget left out."""
    client().set_tag(parent.info.run_id, f"{LEFT_OUT}.{shard}", str(candidates))


def set_cause(experiment: str, dag_run_id: str, cause: str) -> None:
    """Tag the parent run of a DAG run with the reason for which it was started."""
    if parent := find_parent(experiment, dag_run_id):
        client().set_tag(parent.info.run_id, CAUSE, cause[:MAX_TAG])


def find_candidates(parent: Run) -> list[Run]:
    """Return the candidates' runs under a parent run, of any status."""
    return _search(parent.info.experiment_id, parent.data.tags[DAG_RUN], CANDIDATE)


def _search(experiment_id: str, dag_run_id: str, role: str) -> list[Run]:
    query = f"tags.{DAG_RUN} = '{dag_run_id}' AND tags.{ROLE} = '{role}'"
    return list(client().search_runs([experiment_id], query, max_results=50_000))


def source_tags(dag_run_id: str, data: Dataset) -> dict[str, str]:
    """Return tags for the origin of a run: DAG run, data and code."""
    return {
        DAG_RUN: dag_run_id,
        **data_tags(data),
        MLFLOW_SOURCE_NAME: data.contract.dag_id,
        MLFLOW_SOURCE_TYPE: "JOB",
        MLFLOW_GIT_COMMIT: settings().git_commit,
    }


def data_tags(data: Dataset) -> dict[str, str]:
    """Return tags for the rows of a run or a version: their source, digest and split."""
    source = {DATA_SOURCE: data.source.model_dump_json()} if data.source else {}
    sample = {SAMPLE: f"{len(data.train)} of {data.of}"} if isinstance(data, Sample) else {}
    return {DATA_DIGEST: data.digest, SPLIT: split_of(data), **source, **sample}


def source_of(tags: Mapping[str, str]) -> SourceFacts | None:
    """Return the facts about the source of a recorded run, if they are known."""
    text = tags.get(DATA_SOURCE)
    return SourceFacts.model_validate_json(text) if text else None


def split_of(data: Dataset) -> str:
    """Return the arguments of the split as a tag; models with equal tags never learned from the hold-out."""
    return f"seed={data.seed} holdout_share={data.holdout_share}"


def dataset_input(data: Dataset) -> DatasetInput:
    """Describe the rows of a run for MLflow's UI."""
    columns = [{"name": name, "type": "double", "required": True} for name in data.features.columns]
    return DatasetInput(
        RunDataset(
            name=data.contract.table("processed"),
            digest=data.digest[:32],  # MLflow keeps 36 characters
            source_type="postgresql",
            source=json.dumps({"table": data.contract.table("processed"), "connection": settings().connection_id}),
            schema=json.dumps({"mlflow_colspec": [*columns, {"name": "label", "type": "long", "required": True}]}),
            profile=json.dumps(
                {"num_rows": len(data.labels), "num_train": len(data.train), "num_holdout": len(data.holdout)}
                | {name: int((data.labels == label).sum()) for label, name in enumerate(data.contract.classes)}
            ),
        )
    )

"""The runs of candidates in MLflow: log, choose and discard them."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TextIO

import mlflow.sklearn
import yaml  # type: ignore[import-untyped]
from mlflow.entities import Param, Run
from mlflow.models import Model
from mlflow.utils import environment
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from contract.digests import DIGESTS, digest_files
from contract.signatures import SIGNATURE
from penguins import signing
from penguins.data.dataset import Dataset
from penguins.settings import settings
from penguins.training import candidate_requests
from penguins.training.candidate_records import Outcome, Record
from penguins.training.estimators import FOREST, estimator
from penguins.training.grid import Candidate
from penguins.training.model_contracts import describe_contract, model_signature
from penguins.training.search import Failed, Fitted
from penguins.training.tracking import (
    CANDIDATE,
    DAG_RUN,
    GIT_COMMIT,
    ROLE,
    SUPERSEDED,
    client,
    dataset_input,
    source_tags,
)

# Tag with a hash of everything that a candidate's result depends on.
FINGERPRINT: Final = "fingerprint"
ESTIMATOR: Final = "estimator"
REASON: Final = "reason"
# Tag with the run of the candidate that was judged on a sample.
REFIT_OF: Final = "refit_of"

# MLflow would compare `_requirements` with the versions that are installed, from which they come. For that each thread
# reads the files of all installed packages at its first model: half a second of a processor.
vars(environment)["warn_dependency_requirement_mismatches"] = lambda _: None


class _Description(Model):
    """MLflow's description of a model, written by libyaml: in Python it is a quarter of the work for a candidate."""

    def to_yaml(self, stream: TextIO | None = None) -> Any:
        """Write the description as YAML to a stream, or return it."""
        return yaml.dump(self.to_dict(), stream, Dumper=yaml.CSafeDumper, default_flow_style=False)


def log_candidate(
    fitted: Fitted, parent: Run, data: Dataset, fingerprint: str, more_tags: Mapping[str, str] = MappingProxyType({})
) -> Record:
    """Log a candidate as a finished child run of `parent`, and return what is to be recorded of it.

    The run becomes FINISHED last, after everything about it was sent. A run in another state is incomplete and must be
    discarded.
    """
    opened = candidate_requests.begin(
        fitted.candidate,
        parent.info.experiment_id,
        _tags(fitted.candidate, parent, data, {FINGERPRINT: fingerprint, **more_tags}),
        _params(fitted.candidate),
        fitted.metrics,
        dataset_input(data),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        mlflow.sklearn.save_model(
            fitted.model,
            path,
            mlflow_model=_Description(
                artifact_path=opened.artifact_location,
                run_id=opened.run_id,
                model_uuid=opened.model_id,
                model_id=opened.model_id,
                metadata={"contract": describe_contract(data).model_dump(mode="json")},
            ),
            signature=model_signature(data),
            serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE,
            pip_requirements=_requirements(),
        )
        digests = digest_files(path)
        signature = signing.sign("candidate", data.contract.training.registered_model, opened.model_id, digests)
        candidate_requests.finish(opened, path, {DIGESTS: json.dumps(digests), SIGNATURE: signature})
    record = describe(fitted.candidate, parent, data, fingerprint, "finished")
    tags = {**record.tags, **more_tags}
    return replace(record, tags=tags, metrics=fitted.metrics, run_id=opened.run_id, model_id=opened.model_id)


def log_failed_candidate(failed: Failed, parent: Run, data: Dataset, fingerprint: str) -> Record:
    """Log a candidate that couldn't be fitted as a failed child run of `parent`, with the reason."""
    tags = _tags(failed.candidate, parent, data, {FINGERPRINT: fingerprint, REASON: failed.reason})
    run_id = client().create_run(parent.info.experiment_id, run_name=failed.candidate.name, tags=tags).info.run_id
    client().log_inputs(run_id, [dataset_input(data)])
    client().log_batch(run_id, params=[Param(name, value) for name, value in _params(failed.candidate).items()])
    client().set_terminated(run_id, "FAILED")
    record = describe(failed.candidate, parent, data, fingerprint, "failed")
    return replace(record, tags={**record.tags, REASON: failed.reason}, run_id=run_id)


def describe(candidate: Candidate, parent: Run, data: Dataset, fingerprint: str, outcome: Outcome) -> Record:
    """Describe a candidate for its record."""
    dag_run_id = parent.data.tags[DAG_RUN]
    return Record(
        experiment_id=parent.info.experiment_id,
        dag_run_id=dag_run_id,
        fingerprint=fingerprint,
        outcome=outcome,
        name=candidate.name,
        params=_params(candidate),
        tags=source_tags(dag_run_id, data) | {ESTIMATOR: candidate.estimator, GIT_COMMIT: settings().git_commit},
    )


def _tags(candidate: Candidate, parent: Run, data: Dataset, tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that every candidate's run has as a child run of `parent`, and `tags`."""
    return {
        **source_tags(parent.data.tags[DAG_RUN], data),
        ROLE: CANDIDATE,
        ESTIMATOR: candidate.estimator,
        MLFLOW_PARENT_RUN_ID: parent.info.run_id,
        **tags,
    }


def _params(candidate: Candidate) -> dict[str, str]:
    return {name: json.dumps(value) for name, value in candidate.params.items()}


def model_id(run: Run) -> str:
    """Return the id of the logged model of a finished candidate's run."""
    if run.outputs is None:
        raise ValueError(f"run {run.info.run_id} has logged no model")
    return str(run.outputs.model_outputs[0].model_id)


def choose_best(runs: Sequence[Run], metric: str = "accuracy") -> Run:
    """Choose the run that is best by a cross-validated metric, then log loss, then fewer trees or rounds, then name.

    The hold-out isn't used, so that it stays a fair measure between versions.
    """

    def rank(run: Run) -> tuple[float, float, float, str]:
        metrics, params = run.data.metrics, run.data.params
        return (
            metrics[f"cv_{metric}_mean"] * (1 if metric == "log_loss" else -1),
            metrics["cv_log_loss_mean"],
            float(params.get(estimator(run.data.tags.get(ESTIMATOR, FOREST)).size, 100)),
            run.info.run_name,
        )

    return min(runs, key=rank)


def discard(runs: Sequence[Run]) -> None:
    """Delete runs and their models; MLflow can restore both.

    A run that a version was registered from keeps its model, because the version may be in Production. Such a run is
    only marked as superseded, and no longer counts as a candidate of its DAG run.
    """
    for run in runs:
        if client().search_model_versions(f"run_id = '{run.info.run_id}'"):
            client().set_tag(run.info.run_id, ROLE, SUPERSEDED)
            continue
        # Not by run.outputs, because a try may be killed before they are logged.
        for model in client().search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'"):
            client().delete_logged_model(model.model_id)
        client().delete_run(run.info.run_id)


@cache
def _requirements() -> list[str]:
    # Given explicitly, because MLflow would start a Python process for each model to find them.
    return [f"{name}=={version(name)}" for name in ("mlflow", "scikit-learn", "cloudpickle", "numpy", "pandas")]

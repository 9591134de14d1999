"""register_best: the best candidate of a DAG run becomes a version, and perhaps Production."""

import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT
from sklearn.ensemble import RandomForestClassifier

from penguins import onnx_export, plots, promotion, recording, registry, tracking
from penguins.dataset import Dataset
from penguins.errors import UserError
from penguins.tracking import DAG_RUN, DATA_DIGEST, SPLIT, client, split_of

log = logging.getLogger(__name__)

INFERENCE: Final = "inference"
EXAMPLES: Final = 10


@dataclass(frozen=True)
class RegisterReport:
    """What register_best did: the version of the best candidate, and whether it is in Production now."""

    version: str
    promoted: bool
    reason: str


def register_best(data: Dataset, dag_run_id: str) -> RegisterReport:
    """Register the best candidate of a DAG run, and promote it if it is better than Production.

    Called again for the same DAG run it finds the version it made, registers no second one, and stands
    by its verdict. Only one process may do this at a time.

    Raises:
        UserError: the DAG run has no candidates, they are of other data, or the champion can't be judged.
    """
    runs = tracking.find_candidates(dag_run_id)
    # by fingerprint: two tries at once (a worker that was thought dead) may have made the same candidate twice
    finished = list(
        {run.data.tags[recording.FINGERPRINT]: run for run in runs if run.info.status == "FINISHED"}.values()
    )
    if not finished:
        raise UserError(f"{dag_run_id} has no finished candidate in MLflow. Run grid_train first.")
    if {run.data.tags.get(DATA_DIGEST) for run in finished} != {data.digest}:
        raise UserError("penguins_processed has changed since grid_train. Clear grid_train to train on it.")
    best = choose(finished)
    log.info("the best of %d candidates is %s", len(finished), best.info.run_name)
    model_id = recording.model_id(best)
    recorded = json.loads(client().get_logged_model(model_id).tags[recording.DIGESTS])
    model = registry.load(model_id, recorded)
    plots.log_plots(dag_run_id, finished, model, data)
    made = registry.versions(f"run_id = '{best.info.run_id}' AND tags.{DAG_RUN} = '{dag_run_id}'")
    version = made[0] if made else _register(best, model_id, recorded, model, data)
    if promotion.VERDICT not in version.tags:
        verdict = promotion.judge(version, best.data.metrics["holdout_accuracy"], registry.production(), data)
        if verdict.promote:
            promotion.promote(version, verdict.reason, by=f"register_best of {dag_run_id}")
        else:
            promotion.refuse(version, verdict.reason)
        version = client().get_model_version(version.name, version.version)
    return RegisterReport(version.version, version.tags[promotion.VERDICT] == "promoted", version.tags["reason"])


def choose(runs: Sequence[Run]) -> Run:
    """The best run: by cross-validated accuracy, then log loss, then the smaller forest, then the name.

    The hold-out has no say, so that it stays a fair judge between versions.
    """

    def rank(run: Run) -> tuple[float, float, float, str]:
        metrics, params = run.data.metrics, run.data.params
        return (
            -metrics["cv_accuracy_mean"],
            metrics["cv_log_loss_mean"],
            float(params.get("n_estimators", 100)),
            run.info.run_name,
        )

    return min(runs, key=rank)


def _register(
    best: Run, model_id: str, recorded: Mapping[str, str], model: RandomForestClassifier, data: Dataset
) -> ModelVersion:
    """Add what the service needs to the logged model, then make it a version."""
    tags = {
        DAG_RUN: best.data.tags[DAG_RUN],
        DATA_DIGEST: data.digest,
        SPLIT: split_of(data),
        "git_commit": best.data.tags[MLFLOW_GIT_COMMIT],
        **{name: str(value) for name, value in best.data.metrics.items() if name != "fit_seconds"},
    }
    with tempfile.TemporaryDirectory() as folder:
        inference = Path(folder, INFERENCE)
        inference.mkdir()
        try:
            (inference / "model.onnx").write_bytes(onnx_export.export(model, data))
        except onnx_export.NotEqualError as error:
            log.warning("registered without an ONNX export, so the service will run scikit-learn: %s", error)
            tags["onnx"] = str(error)
        else:
            (inference / "contract.json").write_text(json.dumps(_contract(model, data), indent=2))
            client().log_model_artifacts(model_id, folder)
        tags[recording.DIGESTS] = json.dumps({**recorded, **recording.digests(Path(folder))})
    return registry.create_version(model_id, best.info.run_id, tags, description=best.info.run_name)


def _contract(model: RandomForestClassifier, data: Dataset) -> dict[str, Any]:
    """contract.json: the data contract and an example of what the model answers."""
    rows = data.features.iloc[data.holdout[:: max(1, len(data.holdout) // EXAMPLES)]]
    probabilities = model.predict_proba(rows)
    return recording.contract_of(data) | {
        "example": {
            "inputs": rows.to_numpy().tolist(),
            "labels": probabilities.argmax(axis=1).tolist(),
            "probabilities": probabilities.tolist(),
        }
    }

"""Logging, choosing and discarding the runs of candidates."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow.entities import Run
from mlflow.models import Model
from mlflow.utils import requirements_utils

from contract.signatures import parse_trusted_keys, verify_signature
from local.stack import Stack
from penguins.data.dataset import Dataset
from penguins.registry import model_versions
from penguins.settings import settings
from penguins.training import artifacts, candidate_runs, tracking
from penguins.training.grid import Candidate
from penguins.training.search import Failed, Fitted
from penguins.training.tracking import client
from tests.penguins import ours
from tests.penguins.conftest import logged_candidate
from tests.penguins.training.made_up import made_up_run

RUN = "manual__1"


@pytest.fixture
def parent(mlflow: None, data: Dataset) -> Run:
    del mlflow
    return tracking.open_parent(RUN, {}, data)


@pytest.fixture
def logged(parent: Run, data: Dataset) -> Run:
    """The run of a candidate that was just logged."""
    del parent
    return logged_candidate(data, RUN)


def test_a_candidate_becomes_a_finished_run_with_its_model(logged: Run, parent: Run, data: Dataset) -> None:
    assert logged.info.status == "FINISHED"
    assert (logged.data.params, logged.data.metrics) == ({"n_estimators": "2"}, {"holdout_accuracy": 0.5})
    assert logged.data.tags[candidate_runs.FINGERPRINT] == "a fingerprint"
    assert logged.data.tags["mlflow.parentRunId"] == parent.info.run_id
    model = client().get_logged_model(candidate_runs.model_id(logged))
    loaded = model_versions.load(model.model_id, json.loads(model.tags["digests"]))
    assert len(loaded.predict(data.features)) == len(data.labels)
    trusted = parse_trusted_keys(settings().trusted_keys or "")
    signed = verify_signature(model.tags["signature"], trusted)
    signed.check("candidate", settings().model_name, model.model_id)
    assert signed.digests == json.loads(model.tags["digests"])


def test_a_candidate_takes_three_requests_and_is_described_as_mlflow_does(
    stack: Stack, parent: Run, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requirements_utils, "_MODULES_TO_PACKAGES", None)
    candidate, log = Candidate({"n_estimators": 2}), stack.config.layout.log("mlflow")
    model = candidate.model(random_state=0).fit(data.features, data.labels)
    before = log.read_text().count(" HTTP/1.1")
    record = candidate_runs.log_candidate(Fitted(candidate, model, {"holdout_accuracy": 0.5}), parent, data, "x")
    assert log.read_text().count(" HTTP/1.1") - before == 3
    assert requirements_utils._MODULES_TO_PACKAGES is None  # what it takes from the files of all packages
    location = client().get_logged_model(record.model_id).artifact_location
    described = Path(artifacts.repository(location).download_artifacts("MLmodel", str(tmp_path)))
    assert yaml.safe_load(Model.load(described).to_yaml()) == yaml.safe_load(described.read_text())


def test_a_failed_candidate_becomes_a_failed_run_with_the_reason(parent: Run, data: Dataset) -> None:
    failed = Failed(Candidate({"n_estimators": 2}), "MemoryError: too many trees")
    candidate_runs.log_failed_candidate(failed, parent, data, "a fingerprint")
    (run,) = ours.find_candidates(RUN)
    assert (run.info.status, run.data.tags["reason"]) == ("FAILED", "MemoryError: too many trees")


def test_a_discarded_run_is_deleted_with_its_model(logged: Run) -> None:
    candidate_runs.discard([logged])
    assert ours.find_candidates(RUN) == []
    assert client().search_logged_models([logged.info.experiment_id]) == []


def test_discarding_a_run_keeps_the_model_of_its_version(logged: Run) -> None:
    version = model_versions.create_version(
        ours.contract(), candidate_runs.model_id(logged), logged.info.run_id, {}, description=""
    )
    candidate_runs.discard([logged])
    assert logged.info.run_id not in {run.info.run_id for run in ours.find_candidates(RUN)}
    model_versions.load(model_versions.model_id(version), model_versions.recorded_digests(version))


SAME: dict[str, Any] = {"cv_accuracy_mean": 0.5, "cv_log_loss_mean": 0.5}
FEWER_TREES = made_up_run({"n_estimators": 1}, **SAME)


@pytest.mark.parametrize(
    ("best", "other"),
    [
        (
            made_up_run({"n_estimators": 9}, **SAME | {"cv_accuracy_mean": 0.6}),
            made_up_run({"n_estimators": 1}, **SAME),
        ),
        (
            made_up_run({"n_estimators": 9}, **SAME | {"cv_log_loss_mean": 0.4}),
            made_up_run({"n_estimators": 1}, **SAME),
        ),
        (made_up_run({"n_estimators": 20}, **SAME), made_up_run({"max_depth": 1}, **SAME)),
        (made_up_run({"max_depth": 1}, **SAME), made_up_run({"max_depth": 2}, **SAME)),
    ],
    ids=["accuracy", "log loss", "fewer trees", "name"],
)
def test_the_best_candidate_is_chosen_without_the_hold_out(best: Run, other: Run) -> None:
    best.data.metrics["holdout_accuracy"], other.data.metrics["holdout_accuracy"] = 0.0, 1.0
    for runs in ([best, other], [other, best]):
        assert candidate_runs.choose_best(runs) is best


def test_the_best_candidate_is_chosen_by_the_metric_of_the_contract() -> None:
    exact = made_up_run({"max_depth": 1}, cv_accuracy_mean=0.9, cv_f1_macro_mean=0.5, cv_log_loss_mean=0.4)
    fair = made_up_run({"max_depth": 2}, cv_accuracy_mean=0.8, cv_f1_macro_mean=0.7, cv_log_loss_mean=0.3)
    assert candidate_runs.choose_best([exact, fair]) is exact
    assert candidate_runs.choose_best([exact, fair], "f1_macro") is fair
    assert candidate_runs.choose_best([exact, fair], "log_loss") is fair

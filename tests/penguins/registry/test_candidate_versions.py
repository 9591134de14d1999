"""Versions that are made of a candidate."""

import json

import pytest
from mlflow.entities import Run
from sklearn.ensemble import ExtraTreesClassifier

from contract.signatures import parse_trusted_keys, verify_signature
from penguins.data.dataset import Dataset
from penguins.registry import candidate_versions, model_versions
from penguins.registry.candidate_versions import LoadedCandidate
from penguins.registry.reference import REFERENCE_FILE
from penguins.settings import settings
from penguins.training.tracking import client
from tests.penguins import ours
from tests.penguins.conftest import logged_candidate

EXPORT = {"inference/model.onnx", "inference/contract.json"}


@pytest.fixture
def run(mlflow: None, data: Dataset) -> Run:
    del mlflow
    return logged_candidate(data, "manual__1")


def test_a_candidate_is_registered_with_its_origin_and_export(run: Run, data: Dataset) -> None:
    candidate = LoadedCandidate.load(run, ours.model())
    assert candidate_versions.find_version(candidate, ours.model()) is None
    version = candidate_versions.register(candidate, data)
    found = candidate_versions.find_version(candidate, ours.model())
    assert found is not None
    assert (found.version, found.run_id, found.description) == (version.version, run.info.run_id, run.info.run_name)
    assert (found.tags["dag_run_id"], found.tags["data_digest"]) == ("manual__1", data.digest)
    assert found.tags["holdout_accuracy"] == "0.5"
    files = model_versions.files(model_versions.model_id(found), model_versions.recorded_digests(found))
    assert set(files) == {"model.pkl", *EXPORT}
    signed = verify_signature(found.tags["signature"], parse_trusted_keys(settings().trusted_keys or ""))
    signed.check("version", found.name, model_versions.model_id(found))
    assert signed.digests == json.loads(found.tags["digests"])
    assert REFERENCE_FILE in signed.digests


def test_a_version_of_another_model_under_the_same_run_is_not_the_candidates(run: Run, data: Dataset) -> None:
    candidate = LoadedCandidate.load(run, ours.model())
    other = client().create_logged_model(run.info.experiment_id, name="other")
    client().finalize_logged_model(other.model_id, "READY")
    model_versions.create_version(
        ours.contract(), other.model_id, run.info.run_id, {"dag_run_id": "manual__1"}, description=""
    )
    assert candidate_versions.find_version(candidate, ours.model()) is None
    registered = candidate_versions.register(candidate, data)
    found = candidate_versions.find_version(candidate, ours.model())
    assert found is not None
    assert found.version == registered.version


def test_a_candidate_whose_export_differs_is_registered_without_it(
    mlflow: None, data: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    del mlflow
    # Impure leaves give fractional votes, which tie: at ties scikit-learn and ONNX Runtime choose different labels.
    model = ExtraTreesClassifier(n_estimators=10, max_depth=8, min_samples_split=5, random_state=42)
    candidate = LoadedCandidate.load(logged_candidate(data, "manual__1", model), ours.model())
    version = candidate_versions.register(candidate, data)
    assert version.tags["onnx"].startswith("the ONNX export differs from scikit-learn: ")
    assert set(json.loads(version.tags["digests"])) & {*EXPORT, REFERENCE_FILE} == {REFERENCE_FILE}
    assert "registered without an ONNX export" in caplog.text
    files = model_versions.files(model_versions.model_id(version), model_versions.recorded_digests(version))
    assert set(files) == {"model.pkl", "MLmodel"}

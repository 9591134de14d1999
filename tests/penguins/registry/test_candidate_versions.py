"""Versions that are made of a candidate."""

import json

import pytest
from mlflow.entities import Run

from penguins.data.dataset import Dataset
from penguins.registry import candidate_versions, model_versions, onnx_export
from penguins.registry.candidate_versions import LoadedCandidate
from tests.penguins.conftest import logged_candidate

EXPORT = {"inference/model.onnx", "inference/contract.json"}


@pytest.fixture
def run(mlflow: None, data: Dataset) -> Run:
    del mlflow
    return logged_candidate(data, "manual__1")


def test_a_candidate_is_registered_with_its_origin_and_export(run: Run, data: Dataset) -> None:
    assert candidate_versions.find_version(run) is None
    version = candidate_versions.register(LoadedCandidate.load(run), data)
    found = candidate_versions.find_version(run)
    assert found is not None
    assert (found.version, found.run_id, found.description) == (version.version, run.info.run_id, run.info.run_name)
    assert (found.tags["dag_run_id"], found.tags["data_digest"]) == ("manual__1", data.digest)
    assert found.tags["holdout_accuracy"] == "0.5"
    files = model_versions.files(model_versions.model_id(found), model_versions.recorded_digests(found))
    assert set(files) == {"model.pkl", *EXPORT}


def test_a_candidate_whose_export_differs_is_registered_without_it(
    run: Run, data: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def export(*_: object) -> bytes:
        raise onnx_export.NotEqualError("1 of 69 labels")

    monkeypatch.setattr(onnx_export, "export", export)
    version = candidate_versions.register(LoadedCandidate.load(run), data)
    assert version.tags["onnx"] == "1 of 69 labels"
    assert not EXPORT & set(json.loads(version.tags["digests"]))
    assert "registered without an ONNX export" in caplog.text
    files = model_versions.files(model_versions.model_id(version), model_versions.recorded_digests(version))
    assert set(files) == {"model.pkl", "MLmodel"}

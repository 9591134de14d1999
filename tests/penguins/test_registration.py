import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mlflow.artifacts
import numpy as np
import psycopg
import pytest
from mlflow.entities.model_registry import ModelVersion

from local.stack import Stack
from penguins import onnx_export, recording, registry
from penguins.dataset import Dataset
from penguins.errors import UserError
from penguins.promotion import promote
from penguins.registration import choose, register_best
from penguins.settings import settings
from penguins.tracking import client, find_candidates, find_parent
from penguins.training import grid_train, open_run
from tests.penguins.conftest import GRID, pointed_at, real_penguins

# Trained once for all tests here; each has a registered model of its own.
EXPERIMENT = "registration"
RUN, NEXT_RUN, WEAK_RUN = "manual__1", "manual__2", "manual__weak"
STUMPS = {"n_estimators": [1, 2, 3, 4, 5], "max_depth": [1], "max_features": [1, 2, 3, 4]}


def aliases() -> dict[str, str]:
    found: dict[str, str] = client().get_registered_model(settings().model_name).aliases
    return found


def stages() -> dict[str, str]:
    return {version.version: version.current_stage for version in registry.versions()}


def current() -> ModelVersion:
    version = registry.production()
    assert version is not None
    return version


@pytest.fixture(scope="module")
def trained(stack: Stack) -> Dataset:
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        pointed_at(stack, monkeypatch, EXPERIMENT, "unused"),
        psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as connection,
    ):
        data = real_penguins(connection)
        grid_train(data, STUMPS, 3, open_run(data, STUMPS, 3, WEAK_RUN))
        grid_train(data, GRID, 3, open_run(data, GRID, 3, RUN))
        grid_train(data, GRID, 3, open_run(data, GRID, 3, NEXT_RUN))
        return data


@pytest.fixture
def data(
    stack: Stack, trained: Dataset, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Dataset]:
    with pointed_at(stack, monkeypatch, EXPERIMENT, request.node.name):
        yield trained


@pytest.fixture
def first(data: Dataset) -> ModelVersion:
    report = register_best(data, RUN)
    assert (report.version, report.promoted) == ("1", True)
    return current()


def test_the_first_version_is_the_best_candidate_and_in_production(first: ModelVersion, data: Dataset) -> None:
    best = max(find_candidates(RUN), key=lambda run: run.data.metrics["cv_accuracy_mean"])
    chosen = client().get_run(first.run_id)
    assert chosen.data.metrics["cv_accuracy_mean"] == best.data.metrics["cv_accuracy_mean"]
    assert aliases() == {"production": "1"}
    assert stages() == {"1": "Production"}
    assert first.tags["dag_run_id"] == RUN
    assert first.tags["data_digest"] == data.digest
    assert float(first.tags["holdout_accuracy"]) == chosen.data.metrics["holdout_accuracy"]
    assert first.tags["promoted_by"] == f"register_best of {RUN}"
    assert first.tags["previous_version"] == ""
    assert first.tags["reason"].startswith("the first version")


def test_the_version_carries_what_the_service_needs(first: ModelVersion, data: Dataset) -> None:
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{first.name}/{first.version}"))
    recorded = json.loads(first.tags["digests"])
    found = recording.digests(folder)
    found.pop("registered_model_meta", None)  # MLflow's client adds it to what it downloads
    assert found == recorded
    contract = json.loads((folder / "inference/contract.json").read_text())
    assert contract["species"] == ["Adelie", "Chinstrap", "Gentoo"]
    assert contract["features"][0]["name"] == "bill_length_mm"
    assert contract["features"][0]["min"] == data.features.iloc[data.train]["bill_length_mm"].min()
    onnx = (folder / "inference/model.onnx").read_bytes()
    labels, probabilities = onnx_export.predict(onnx, np.array(contract["example"]["inputs"], dtype=np.float32))
    assert labels.tolist() == contract["example"]["labels"]
    assert probabilities == pytest.approx(np.array(contract["example"]["probabilities"]), abs=1e-4)


def test_the_parent_run_has_pictures_and_a_leaderboard(first: ModelVersion) -> None:
    del first
    parent = find_parent(RUN)
    assert parent is not None
    assert parent.info.status == "FINISHED"
    listed = {item.path for item in client().list_artifacts(parent.info.run_id, "plots")}
    assert listed == {"plots/grid.png", "plots/confusion_matrix.png", "plots/importances.png"}
    table = mlflow.artifacts.load_dict(f"{parent.info.artifact_uri}/leaderboard.json")
    assert len(table["data"]) == 20


def test_a_rerun_makes_no_second_version(first: ModelVersion, data: Dataset) -> None:
    report = register_best(data, RUN)
    assert (report.version, report.promoted) == ("1", True)
    assert len(registry.versions()) == 1
    assert current().tags == first.tags


def test_a_rerun_of_an_older_run_stands_by_its_verdict(first: ModelVersion, data: Dataset) -> None:
    register_best(data, NEXT_RUN)
    promote(registry.versions()[0], "a person said so", by="ada")
    before = {version.version: version.tags for version in registry.versions()}
    report = register_best(data, RUN)
    assert (report.version, report.promoted, report.reason) == ("1", True, first.tags["reason"])
    assert {version.version: version.tags for version in registry.versions()} == before
    assert aliases() == {"production": "2"}


def test_discarding_a_run_keeps_the_model_of_its_version(first: ModelVersion, data: Dataset) -> None:
    run = client().get_run(first.run_id)
    recording.discard([run])
    assert first.run_id not in {run.info.run_id for run in find_candidates(RUN)}
    registry.load(registry.model_id(first), registry.recorded_digests(first))
    client().set_tag(first.run_id, "role", "candidate")  # the run is shared with the other tests here
    assert register_best(data, NEXT_RUN).version == "2"


def test_a_champion_that_was_deleted_is_named_with_the_remedy(data: Dataset) -> None:
    with pytest.raises(UserError, match="models:/m-0 was deleted from MLflow. Promote another version"):
        registry.load("m-0", {"model.pkl": "0"})
    del data


def test_the_hold_out_has_no_say_in_the_choice(data: Dataset) -> None:
    del data
    runs = find_candidates(RUN)
    best = choose(runs)
    for run in runs:
        run.data.metrics["holdout_accuracy"] = 0.0 if run is best else 1.0
    assert choose(runs) is best
    for run in runs:
        run.data.metrics["cv_accuracy_mean"] = run.data.metrics["cv_log_loss_mean"] = 0.5
    assert choose(runs).data.params["n_estimators"] == "2"


def test_a_tie_keeps_the_champion_and_names_a_challenger(first: ModelVersion, data: Dataset) -> None:
    del first
    report = register_best(data, NEXT_RUN)
    assert (report.version, report.promoted) == ("2", False)
    assert "not better than version 1, accuracy on the same 69 rows" in report.reason
    assert aliases() == {"production": "1", "challenger": "2"}
    assert stages() == {"1": "Production", "2": "None"}
    assert registry.versions()[0].tags["reason"] == report.reason


def test_a_better_candidate_takes_over(data: Dataset) -> None:
    register_best(data, WEAK_RUN)
    weak = float(current().tags["holdout_accuracy"])
    report = register_best(data, NEXT_RUN)
    assert report.promoted
    assert float(current().tags["holdout_accuracy"]) > weak
    assert aliases() == {"production": "2"}
    assert stages() == {"1": "Archived", "2": "Production"}
    assert current().tags["previous_version"] == "1"


def test_a_champion_of_other_data_is_judged_on_ours_and_the_reason_says_so(first: ModelVersion, data: Dataset) -> None:
    client().set_model_version_tag(first.name, first.version, "data_digest", "of other data")
    assert "version 1 learned from other data, though hardly" in register_best(data, NEXT_RUN).reason


def test_a_champion_of_another_hold_out_is_named_so(first: ModelVersion, data: Dataset) -> None:
    client().set_model_version_tag(first.name, first.version, "split", "seed=1 holdout_share=0.2")
    assert "version 1 was made with another hold-out" in register_best(data, NEXT_RUN).reason


def test_a_champion_whose_file_was_changed_is_not_loaded(first: ModelVersion, data: Dataset) -> None:
    digests = {**json.loads(first.tags["digests"]), "model.pkl": "0" * 64}
    client().set_model_version_tag(first.name, first.version, "digests", json.dumps(digests))
    with pytest.raises(UserError, match="model.pkl isn't the file that was recorded"):
        register_best(data, NEXT_RUN)
    assert aliases() == {"production": "1"}


def test_no_candidates_or_candidates_of_other_data_are_refused(first: ModelVersion, data: Dataset) -> None:
    del first
    with pytest.raises(UserError, match="manual__3 has no finished candidate in MLflow. Run grid_train first"):
        register_best(data, "manual__3")
    with pytest.raises(UserError, match="penguins_processed has changed since grid_train"):
        register_best(replace(data, digest="other"), RUN)


def test_promote_by_hand_and_back_never_leaves_production_empty(first: ModelVersion, data: Dataset) -> None:
    register_best(data, NEXT_RUN)
    second = registry.versions()[0]
    promote(second, "a person said so", by="ada")
    assert aliases() == {"production": "2"}  # and is no challenger any more
    assert stages() == {"1": "Archived", "2": "Production"}
    assert current().tags["promoted_by"] == "ada"
    promote(first, "back", by="ada")
    assert aliases() == {"production": "1"}
    assert stages() == {"1": "Production", "2": "Archived"}


def test_promoting_heals_a_stage_that_did_not_follow(first: ModelVersion) -> None:
    client().transition_model_version_stage(first.name, first.version, "None")
    promote(first, "again", by="ada")
    assert stages() == {"1": "Production"}
    assert current().tags["reason"] == first.tags["reason"]  # no new promotion, no new reason


def test_an_export_that_answers_otherwise_is_not_registered(first: ModelVersion, data: Dataset) -> None:
    trained = registry.load(registry.model_id(first), json.loads(first.tags["digests"]))
    content = onnx_export.export(trained, data)
    rows = data.features.to_numpy(dtype=np.float32)
    onnx_export.compare(content, trained, rows)
    trained.estimators_ = trained.estimators_[:1]
    with pytest.raises(onnx_export.NotEqualError, match="differs from scikit-learn: .* of 342 labels"):
        onnx_export.compare(content, trained, rows)

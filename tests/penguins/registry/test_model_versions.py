"""Finding, verifying and loading versions, on a real MLflow server."""

import json
from pathlib import Path

import cloudpickle
import pytest
from sklearn.dummy import DummyClassifier

from penguins.errors import UserError
from penguins.registry import model_versions
from penguins.settings import settings
from penguins.training.tracking import client, experiment_id
from tests.penguins import ours
from tests.penguins.conftest import made_up_model, made_up_version

pytestmark = [pytest.mark.usefixtures("mlflow"), pytest.mark.filterwarnings("ignore:.*transition_model_version_stage")]


def test_reading_production_creates_no_model() -> None:
    assert model_versions.production(ours.model()) is None
    assert model_versions.registered_model(ours.model()).aliases == {}
    assert client().search_registered_models(f"name = '{settings().model_name}'") == []


def test_the_alias_decides_and_without_it_the_stage(tmp_path: Path) -> None:
    first, second = (made_up_version(tmp_path) for _ in range(2))
    client().transition_model_version_stage(first.name, first.version, model_versions.STAGE)
    found = model_versions.production(ours.model())
    assert found is not None
    assert found.version == first.version
    client().set_registered_model_alias(second.name, model_versions.ALIAS, second.version)
    found = model_versions.production(ours.model())
    assert found is not None
    assert found.version == second.version


def test_versions_are_listed_by_number_the_newest_first(tmp_path: Path) -> None:
    made_up_version(tmp_path)
    first = model_versions.versions(ours.model())[0]
    for _ in range(9):
        model_versions.create_version(
            ours.contract(), model_versions.model_id(first), first.run_id or "", {"kind": "copy"}, ""
        )
    assert [found.version for found in model_versions.versions(ours.model())] == [
        str(number) for number in range(10, 0, -1)
    ]
    assert len(model_versions.versions(ours.model(), "tags.kind = 'copy'")) == 9
    assert model_versions.version(ours.model(), "10").version == "10"
    with pytest.raises(UserError, match="has no version 11"):
        model_versions.version(ours.model(), "11")


def test_a_model_is_loaded_only_if_its_digest_is_the_recorded_one(tmp_path: Path) -> None:
    model = DummyClassifier(strategy="constant", constant=2).fit([[0], [0], [0]], [0, 1, 2])
    version = made_up_version(tmp_path, cloudpickle.dumps(model))
    model_id, recorded = model_versions.model_id(version), model_versions.recorded_digests(version)
    assert recorded == json.loads(version.tags["digests"])
    assert model_versions.load(model_id, recorded).predict([[7]]).tolist() == [2]
    with pytest.raises(UserError, match=r"model.pkl isn't the file that was recorded \(model.pkl has sha256 "):
        model_versions.load(model_id, {**recorded, "model.pkl": "0" * 64})
    with pytest.raises(UserError, match="its signature has no digest of model.pkl, so it isn't loaded"):
        model_versions.load(model_id, {})


def test_a_file_that_is_no_pickle_is_named(tmp_path: Path) -> None:
    version = made_up_version(tmp_path, b"no pickle")
    with pytest.raises(UserError, match=r"models:/m-\w+ can't be loaded: UnpicklingError"):
        model_versions.load(model_versions.model_id(version), model_versions.recorded_digests(version))


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.pkl" / "inside").mkdir(parents=True)
    (tmp_path / "model.pkl" / "inside" / "file").write_bytes(b"a file")
    run = client().create_run(experiment_id(ours.contract()))
    model = client().create_logged_model(run.info.experiment_id, name="made_up", source_run_id=run.info.run_id)
    client().log_model_artifacts(model.model_id, str(tmp_path))
    with pytest.raises(UserError, match=r"model.pkl is a folder instead of a file"):
        model_versions.files(model.model_id, {"model.pkl": "0" * 64})


@pytest.mark.parametrize("signature", ["no signature", "", "0123456789abcdef.00.{}"])
def test_an_edited_signature_is_reported(tmp_path: Path, signature: str) -> None:
    version = made_up_version(tmp_path)
    client().set_model_version_tag(version.name, version.version, "signature", signature)
    with pytest.raises(UserError, match=r"version 1 isn't opened: the tag `signature` .* or promote another one\."):
        model_versions.check_files(model_versions.version(ours.model(), "1"))


def test_a_version_of_another_version_has_no_logged_model(tmp_path: Path) -> None:
    version = made_up_version(tmp_path)
    copy = client().create_model_version(version.name, f"models:/{version.name}/{version.version}")
    with pytest.raises(UserError, match="version 2 has no logged model: register one from a run"):
        model_versions.check_files(model_versions.version(ours.model(), copy.version))


def test_a_deleted_model_is_named_with_the_remedy() -> None:
    with pytest.raises(UserError, match="models:/m-0 was deleted from MLflow. Promote another version"):
        model_versions.load("m-0", {"model.pkl": "0"})


@pytest.mark.parametrize("length", [4_900, 100_000])
def test_a_long_description_is_shortened_to_what_mlflow_takes(tmp_path: Path, length: int) -> None:
    model = made_up_model(tmp_path, b"a model")
    contract = ours.contract().model_copy(update={"description": "é" * length})
    model_versions.create_version(contract, model.model_id, model.run_id, {}, "")
    described = model_versions.registered_model(ours.model()).description
    writer = f" Written by the DAG {contract.dag_id}."
    assert described == "é" * length + writer if length < 5_000 else "é" * (4_999 - len(writer)) + "…" + writer

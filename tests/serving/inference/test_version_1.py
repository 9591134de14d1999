"""A version with the files of format 1, as the first stage made them, can be served for ever."""

from pathlib import Path

import numpy as np
import pytest
import sklearn

from contract.manifest import Contract, Manifest
from serving.inference.contract import parse_mlmodel
from serving.inference.model import Release, load
from serving.inference.sklearn_engine import SklearnEngine
from serving.registry.responses import ModelVersion
from tests.serving.publisher import digests

FOLDER = Path(__file__).parents[2] / "contract" / "version_1"
FILES = {name: (FOLDER / name).read_bytes() for name in ("inference/contract.json", "inference/model.onnx")}
MLMODEL = parse_mlmodel((FOLDER / "MLmodel").read_bytes())


def version() -> ModelVersion:
    return ModelVersion(name="penguins_rf", version="1", creation_timestamp=0, source="models:/m-0")


def test_it_is_loaded_and_gives_the_answers_that_were_recorded() -> None:
    model = load(Release(version(), digests(FILES), None), FILES, "cache")
    recorded = Manifest.model_validate_json(FILES["inference/contract.json"]).example
    labels, probabilities = model.engine.predict(np.array(recorded.inputs, dtype=np.float32))
    assert labels.tolist() == recorded.labels
    assert probabilities == pytest.approx(np.array(recorded.probabilities), abs=1e-6)
    assert model.contract.answer_key == "species"
    assert model.points is not None
    assert len(model.points.inputs) == 20


def test_both_files_describe_the_same_penguins() -> None:
    contract = Manifest.model_validate_json(FILES["inference/contract.json"]).contract
    assert MLMODEL.metadata.contract == contract
    assert (contract.name, contract.classes) == ("penguins", ("Adelie", "Chinstrap", "Gentoo"))
    assert {feature.bounds.exclusive_minimum for feature in contract.features} == {0}
    assert [(feature.unit, feature.required, *feature.seen) for feature in contract.features] == [
        ("mm", True, 32.1, 59.6),
        ("mm", True, 13.2, 21.5),
        ("mm", True, 172, 231),
        ("g", True, 2700, 6300),
    ]


def test_its_contract_can_be_written_in_format_2_and_read_again() -> None:
    manifest = Manifest.model_validate_json(FILES["inference/contract.json"])
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest
    assert Contract.model_validate(manifest.contract.model_dump(mode="json")) == manifest.contract


@pytest.mark.skipif(
    sklearn.__version__ != MLMODEL.flavors.sklearn.sklearn_version, reason="a pickle of another scikit-learn"
)
def test_its_pickle_fits_its_contract() -> None:
    contract = MLMODEL.metadata.contract
    engine = SklearnEngine((FOLDER / "model.pkl").read_bytes(), MLMODEL.flavors.sklearn, contract)
    labels, probabilities = engine.predict(np.array([[39.1, 18.7, 181, 3750]], dtype=np.float32))
    assert labels.tolist() == [0]
    assert probabilities.shape == (1, 3)

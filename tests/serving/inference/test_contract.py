"""Strict parsing of the contract of a version."""

import json
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from serving.inference.contract import parse_manifest, parse_mlmodel
from serving.registry.refusals import RefusedError
from tests.serving.penguins import SPECIES
from tests.serving.publisher import contract, features, forest

SOUND = contract(forest())
FEATURES = features()
EXAMPLE = SOUND["example"]
MLMODEL = {
    "flavors": {
        "python_function": {"loader_module": "mlflow.sklearn"},
        "sklearn": {"pickled_model": "model.pkl", "serialization_format": "cloudpickle", "sklearn_version": "1.9.1"},
    },
    "metadata": {"contract": {"features": FEATURES, "species": SPECIES}},
}


def test_sound_contract_is_parsed() -> None:
    parsed = parse_manifest(json.dumps(SOUND).encode())
    assert [feature["name"] for feature in FEATURES] == [feature.name for feature in parsed.features]
    assert parsed.classes == tuple(SPECIES)
    assert parsed.example.model_dump() == EXAMPLE


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"contract_version": 3}, "contract_version is 3: formats 1 and 2 can be read"),
        ({"contract_version": None}, "contract_version is None: formats 1 and 2 can be read"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"features": FEATURES[:3]}, "example.inputs.0 has 4 values instead of 3"),
        ({"features": [{**FEATURES[0], "min": 99.0}, *FEATURES[1:]]}, "features.0: Value error, min 99.0 is more than"),
        ({"features": [{**FEATURES[0], "min": "32"}, *FEATURES[1:]]}, "features.0.min: Input should be a valid number"),
        ({"features": [{**FEATURES[0], "max": float("nan")}, *FEATURES[1:]]}, "features.0.max: Input should be a fin"),
        ({"species": ["Adelie"]}, "1 classes: 2 to 1000 different ones are needed"),
        ({"species": ["Adelie", "Adelie"]}, "2 classes: 2 to 1000 different ones are needed"),
        ({"species": SPECIES[:2]}, "example.labels.14 is 2, and there are 2 classes"),
        ({"example": {"inputs": [], "labels": [], "probabilities": []}}, "example.inputs: List should have at least 1"),
        ({"example": EXAMPLE | {"labels": [0]}}, "there is not one label"),
        (
            {"example": EXAMPLE | {"labels": [3] * len(EXAMPLE["labels"])}},
            "example.labels.0 is 3, and there are 3 classes",
        ),
        (
            {"example": EXAMPLE | {"inputs": [[1.0]] * len(EXAMPLE["labels"])}},
            "example.inputs.0 has 1 values instead of 4",
        ),
    ],
)
def test_wrong_contract_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(RefusedError) as refused:
        parse_manifest(json.dumps(SOUND | changes).encode())
    assert refused.value.code == "contract_invalid"
    assert text in refused.value.message


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_content_that_is_not_a_contract_is_refused(content: bytes) -> None:
    with pytest.raises(RefusedError, match=r"inference/contract\.json"):
        parse_manifest(content)


def test_sound_mlmodel_is_parsed() -> None:
    parsed = parse_mlmodel(yaml.safe_dump(MLMODEL).encode())
    assert parsed.metadata.contract.classes == tuple(SPECIES)
    assert parsed.flavors.sklearn.sklearn_version == "1.9.1"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "MLmodel: Input should be"),
        (b"a: [", "MLmodel isn't YAML"),
        (b"\xff\xfe\xff", "MLmodel isn't YAML"),
        (b"!!python/object/apply:os.getcwd []", "MLmodel isn't YAML"),
        (yaml.safe_dump(MLMODEL | {"flavors": {}}).encode(), "MLmodel: flavors.sklearn: Field required"),
        (yaml.safe_dump(MLMODEL | {"metadata": None}).encode(), "MLmodel: metadata: Input should be"),
        (yaml.safe_dump(MLMODEL | {"metadata": {}}).encode(), "MLmodel: metadata.contract: Field required"),
    ],
)
def test_wrong_mlmodel_is_refused(content: bytes, text: str) -> None:
    with pytest.raises(RefusedError) as refused:
        parse_mlmodel(content)
    assert refused.value.code == "contract_invalid"
    assert text in refused.value.message

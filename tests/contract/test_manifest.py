"""The manifest of a version is checked strictly."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from contract.manifest import Contract, Feature, Manifest

FEATURES = [
    {"name": "length", "unit": "mm", "min": 1.0, "max": 2.5},
    {"name": "mass", "unit": "g", "min": 3.0, "max": 3.0},
]
EXAMPLE = {"inputs": [[1.0, 3.0], [2.0, 3.0]], "labels": [0, 1], "probabilities": [[1.0, 0.0], [0.25, 0.75]]}
SOUND = {"contract_version": 1, "features": FEATURES, "species": ["a", "b"], "example": EXAMPLE}


def test_a_manifest_reads_as_it_was_written() -> None:
    scatter = {"inputs": [[1.5, 3.0]], "labels": [1]}
    written = Manifest.model_validate(SOUND | {"scatter": scatter}).model_dump_json()
    assert json.loads(written) == SOUND | {"scatter": scatter}
    assert Manifest.model_validate_json(written).model_dump_json() == written


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"example": EXAMPLE | {"inputs": [[1.0, 3.0], [2.0]]}}, "example.inputs.1 has 1 values instead of 2"),
        ({"example": EXAMPLE | {"labels": [0, 2]}}, "example.labels.1 is 2, and there are 2 species"),
        ({"example": EXAMPLE | {"labels": [0, -1]}}, "greater than or equal to 0"),
        ({"example": EXAMPLE | {"probabilities": [[1.0, 0.0]]}}, "not one row of probabilities for each row"),
        ({"example": EXAMPLE | {"probabilities": [[1.0], [1.0]]}}, "example.probabilities.0 has 1 values instead of 2"),
        ({"example": EXAMPLE | {"probabilities": [[1.0, 0.0], [2.0, -1.0]]}}, "less than or equal to 1"),
        ({"scatter": {"inputs": [[1.0]], "labels": [0]}}, "scatter.inputs.0 has 1 values instead of 2"),
        ({"scatter": {"inputs": [[1.0, 3.0]], "labels": [9]}}, "scatter.labels.0 is 9"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        Manifest.model_validate(SOUND | changes)


def test_the_version_of_the_format_is_required_in_the_file_only() -> None:
    with pytest.raises(ValidationError, match="contract_version"):
        Manifest.model_validate({name: value for name, value in SOUND.items() if name != "contract_version"})
    features = [Feature.model_validate(feature) for feature in FEATURES]
    assert Contract(features=features, species=["a", "b"]).contract_version == 1

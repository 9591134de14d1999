"""The manifest of a version is checked strictly, in format 2 and in format 1."""

import json
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from pydantic import ValidationError

from contract.manifest import Contract, Manifest

BOUNDS = {"minimum": 0.0, "maximum": None, "exclusive_minimum": None, "exclusive_maximum": None}
NONE = dict.fromkeys(BOUNDS)


def column(name: str, kind: str, **facts: Any) -> dict[str, Any]:
    """Return the fields of a column, in the order of the file."""
    return {
        "name": name,
        "type": kind,
        "role": "feature",
        "required": True,
        "categories": None,
        "bounds": NONE,
        "plausible": NONE,
        "unit": "",
        "title": "",
        "description": "",
        "decimals": None,
        "examples": [],
    } | facts


FEATURES = [
    column("od280/od315 % 🐧", "number", required=False, bounds=BOUNDS, unit="mm", min=1.0, max=2.5),
    column('the "island"', "string", categories=["Biscoe", "Dream, or not", ""], min=None, max=None),
    column("year", "integer", categories=[2007, 2008], required=False, min=None, max=None),
    column("is adult", "boolean", examples=[True], min=None, max=None),
]
TARGET = column("class", "integer", role="target", categories=[0, 1])
EXAMPLE = {
    "inputs": [[1.0, 0.0, 2.0, 1.0], [None, 2.0, 0.0, 2.0]],
    "labels": [0, 1],
    "probabilities": [[1.0, 0.0], [0.25, 0.75]],
}
SCATTER = {"inputs": [[1.5, 3.0, 1.0, 0.0]], "labels": [1]}
CONTRACT = {"contract_version": 2, "name": "wine", "title": "Wine", "target": TARGET, "features": FEATURES}
SOUND = CONTRACT | {"example": EXAMPLE, "scatter": SCATTER}


def read(content: dict[str, Any]) -> Manifest:
    return Manifest.model_validate_json(json.dumps(content))


def change(index: int, **facts: Any) -> dict[str, Any]:
    """Return the features, one of them changed."""
    return {"features": [each | facts if number == index else each for number, each in enumerate(FEATURES)]}


def test_a_manifest_reads_as_it_was_written() -> None:
    manifest = read(SOUND)
    assert json.loads(manifest.model_dump_json()) == SOUND
    assert (manifest.classes, manifest.answer_key) == (("0", "1"), "class")
    assert [feature.seen for feature in manifest.features[:2]] == [(1.0, 2.5), (-float("inf"), float("inf"))]


def test_a_contract_in_yaml_is_the_one_of_the_file() -> None:
    assert Contract.model_validate(yaml.safe_load(yaml.safe_dump(CONTRACT))) == read(SOUND).contract


def test_a_thousand_features_and_classes_can_be_described() -> None:
    features = [column(f"f{number}", "number", min=0.0, max=1.0) for number in range(1000)]
    target = TARGET | {"type": "string", "categories": [f"c{number}" for number in range(1000)]}
    example = {"inputs": [[0.5] * 1000], "labels": [999], "probabilities": [[0.001] * 1000]}
    assert (
        len(read(SOUND | {"features": features, "target": target, "example": example, "scatter": None}).classes) == 1000
    )
    with pytest.raises(ValidationError, match="at most 1000 items"):
        read(SOUND | {"features": [*features, column("more", "number")]})


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"contract_version": 3}, "contract_version is 3: formats 1 and 2 can be read"),
        ({"contract_version": "2" * 1000}, "contract_version is '2222222222222222222: formats"),
        ({"surprise": 1}, "Extra inputs are not permitted"),
        ({"name": "Wine"}, "String should match pattern"),
        ({"features": []}, "at least 1 item"),
        (change(0, surprise=1), "Extra inputs are not permitted"),
        (change(0, name="a\nb"), r"'a\\nb' isn't the name of a column"),
        (change(0, name="ü" * 32), "isn't the name of a column"),
        (change(0, name="year"), "two columns have the same name"),
        (change(0, name="class"), "two columns have the same name"),
        (change(0, role="id"), "the role of .* is id"),
        (change(0, min=3.0), "min 3.0 is more than max 2.5"),
        (change(0, min=None), "needs min and max, or neither"),
        (change(0, min="1"), "Input should be a valid number"),
        (change(0, max=float("inf")), "Input should be a finite number"),
        (change(1, min=0.0, max=1.0), "only numbers have them"),
        (change(1, categories=None), "is neither a number nor a category nor a boolean"),
        (change(1, type="date", categories=None), "is neither a number nor a category nor a boolean"),
        (change(2, categories=[2007.5]), "Input should be a valid integer"),
        ({"target": TARGET | {"role": "feature"}}, "the role of the target 'class' is feature"),
        ({"target": TARGET | {"categories": ["one"]}}, "1 classes: 2 to 1000 different ones are needed"),
        ({"target": TARGET | {"categories": ["1", 1]}}, "2 classes: 2 to 1000 different ones are needed"),
        ({"target": TARGET | {"categories": None}}, "0 classes"),
        (
            {"example": EXAMPLE | {"inputs": [[1.0, 0.0, 0.0, 0.0], [2.0]]}},
            "example.inputs.1 has 1 values instead of 4",
        ),
        ({"example": EXAMPLE | {"labels": [0, 2]}}, "example.labels.1 is 2, and there are 2 classes"),
        ({"example": EXAMPLE | {"labels": [0, -1]}}, "greater than or equal to 0"),
        ({"example": EXAMPLE | {"probabilities": [[1.0, 0.0]]}}, "not one row of probabilities for each row"),
        ({"example": EXAMPLE | {"probabilities": [[1.0], [1.0]]}}, "example.probabilities.0 has 1 values instead of 2"),
        ({"example": EXAMPLE | {"probabilities": [[1.0, 0.0], [2.0, -1.0]]}}, "less than or equal to 1"),
        ({"scatter": {"inputs": [[1.0]], "labels": [0]}}, "scatter.inputs.0 has 1 values instead of 4"),
        ({"scatter": SCATTER | {"labels": [9]}}, "scatter.labels.0 is 9"),
        ({"scatter": SCATTER | {"inputs": [[1.5, 4.0, 0.0, 0.0]]}}, "has 4.0, which isn't a code from 0 to 3"),
        ({"scatter": SCATTER | {"inputs": [[1.5, -1.0, 0.0, 0.0]]}}, "has -1.0, which isn't a code"),
        ({"scatter": SCATTER | {"inputs": [[1.5, 0.5, 0.0, 0.0]]}}, "has 0.5, which isn't a code"),
        ({"scatter": SCATTER | {"inputs": [[1.5, None, 0.0, 0.0]]}}, "has None, which isn't a code"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        read(SOUND | changes)


def test_the_version_of_the_format_is_required_in_the_file_only() -> None:
    without = {name: value for name, value in SOUND.items() if name != "contract_version"}
    with pytest.raises(ValidationError, match="contract_version"):
        read(without)
    assert Contract.model_validate(without).contract_version == 2


VERSION_1 = {
    "contract_version": 1,
    "features": [{"name": "length", "unit": "mm", "min": 1.0, "max": 2.5}],
    "species": ["a", "b"],
    "example": {"inputs": [[1.0], [2.0]], "labels": [0, 1], "probabilities": [[1.0, 0.0], [0.25, 0.75]]},
}


def test_format_1_is_read_as_format_2() -> None:
    manifest = read(VERSION_1)
    assert (manifest.contract_version, manifest.name, manifest.classes) == (2, "penguins", ("a", "b"))
    assert manifest.answer_key == manifest.target.name == "species"
    assert read(json.loads(manifest.model_dump_json())) == manifest
    without = {name: value for name, value in VERSION_1.items() if name != "contract_version"}
    assert Contract.model_validate(without) == manifest.contract


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"surprise": 1}, "surprise\n  Extra inputs are not permitted"),
        ({"name": "wine"}, "name\n  Extra inputs are not permitted"),
        ({"features": [VERSION_1["features"][0] | {"type": "string"}]}, "type\n  Extra inputs are not permitted"),
        ({"features": [{"name": "length", "unit": "mm", "min": 1.0}]}, "features.0.max\n  Field required"),
        ({"features": [{"name": "length", "unit": "mm", "min": 3.0, "max": 2.0}]}, "min 3.0 is more than max 2.0"),
        ({"species": [1, 2]}, "species.0\n  Input should be a valid string"),
        ({"example": None}, "example\n  Input should be an object"),
    ],
)
def test_format_1_is_checked_as_strictly(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        read(VERSION_1 | changes)


def test_the_digest_depends_on_what_gives_numbers_their_meaning() -> None:
    before = Contract.model_validate(CONTRACT)
    assert len(before.digest) == 16
    island = FEATURES[1]
    changed = [
        ({"name": "other"}, True),
        ({"title": "other"}, False),
        ({"target": TARGET | {"categories": [1, 0]}}, True),
        ({"target": TARGET | {"name": "kind"}}, True),
        ({"features": [FEATURES[1], FEATURES[0], *FEATURES[2:]]}, True),
        ({"features": [FEATURES[0] | {"max": 3.0, "unit": "cm", "description": "x"}, *FEATURES[1:]]}, False),
        ({"features": [FEATURES[0], island | {"categories": ["Dream, or not", "Biscoe", ""]}, *FEATURES[2:]]}, True),
    ]
    for change, differs in changed:
        after = Contract.model_validate(CONTRACT | change)
        assert (after.digest != before.digest) is differs, change

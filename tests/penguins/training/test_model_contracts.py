"""The descriptions of a model's input and output fit any contract."""

from dataclasses import replace

import numpy as np
import pytest
from mlflow.types import DataType

from contract.manifest import Contract, Manifest
from penguins.registry.manifests import build_manifest
from penguins.training.grid import Candidate
from penguins.training.model_contracts import describe_contract, model_signature
from penguins.training.search import Fitted, search
from tests.penguins.training.tables import MIXED, made_up


def test_only_numbers_have_a_range_and_missing_ones_are_left_out() -> None:
    data = made_up(MIXED)
    contract = describe_contract(data)
    training = data.features.iloc[data.train]
    for feature, column in zip(contract.features, MIXED, strict=True):
        seen = training[column.name]
        expected = (seen.min(), seen.max()) if column.is_numeric else (None, None)
        assert (feature.min, feature.max) == expected
        assert (feature.categories, feature.required) == (column.categories, column.required)
    assert Contract.model_validate(contract.model_dump(mode="json")) == contract
    assert (contract.name, contract.classes) == ("made_up", data.contract.classes)


def test_a_number_that_was_always_missing_has_no_range() -> None:
    data = made_up(MIXED)
    data.features.iloc[:, 0] = np.nan
    assert describe_contract(data).features[0].min is None


def test_only_what_the_log_leaves_out_is_in_the_manifest() -> None:
    data = made_up(MIXED, classes=2)
    (fitted,) = search(data, [Candidate({"n_estimators": 2})], [], jobs=1)
    assert isinstance(fitted, Fitted)
    written = build_manifest(fitted.model, data).model_dump(mode="json")
    assert "log_fraction" not in written
    assert not [feature for feature in written["features"] if "logged" in feature]
    columns = tuple(column.model_copy(update={"logged": False}) for column in data.contract.columns)
    training = data.contract.training.model_copy(update={"log_fraction": 0.5})
    less = replace(data, contract=data.contract.model_copy(update={"columns": columns, "training": training}))
    written = build_manifest(fitted.model, less).model_dump(mode="json")
    assert written["log_fraction"] == 0.5
    assert {feature["logged"] for feature in written["features"]} == {False}
    assert Manifest.model_validate(written).contract.log_fraction == 0.5


def test_a_signature_has_the_columns_of_the_matrix_and_optional_ones_where_numbers_may_be_missing() -> None:
    inputs = model_signature(made_up(MIXED)).inputs
    assert {column.type for column in inputs} == {DataType.double}
    assert [(column.name, column.required) for column in inputs] == [
        ("mean 'radius' %", False),
        ("year", False),
        ("island 🐧", True),
        ("grade", True),
        ("is adult", True),
        ("height", True),
    ]


def test_missing_numbers_are_null_in_the_manifest() -> None:
    data = made_up(MIXED, classes=2)
    (fitted,) = search(data, [Candidate({"n_estimators": 2})], [], jobs=1)
    assert isinstance(fitted, Fitted)
    written = build_manifest(fitted.model, data).model_dump_json()
    manifest = Manifest.model_validate_json(written)
    assert manifest.scatter is not None
    drawn = np.array(manifest.scatter.inputs, dtype=np.float64)
    assert np.isnan(drawn).any()
    assert drawn == pytest.approx(data.features.iloc[data.train].to_numpy(), nan_ok=True)

"""Each estimator gives the same answers in ONNX Runtime, for every kind of column and number of classes."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import ClassifierMixin

from contract.schema import Column
from penguins.data.dataset import Dataset
from penguins.promotion.opponents import predict_holdout
from penguins.registry import onnx_export, proof_rows
from penguins.registry.manifests import build_manifest
from penguins.registry.onnx_trees import thresholds
from penguins.training.columns import Columns
from penguins.training.estimators import ESTIMATORS
from penguins.training.grid import Candidate
from penguins.training.search import Fitted, search
from penguins.training.snapshots import round_down
from tests.penguins.training.tables import MIXED, NUMBERS, made_up

SMALL = {
    "random_forest": {"n_estimators": 50},
    "gradient_boosting": {"n_estimators": 20},
    "logistic_regression": {},
    "hist_gradient_boosting": {"max_iter": 20},
}


def fitted(data: Dataset, name: str, **params: object) -> ClassifierMixin:
    """Fit a model as the search does."""
    (found,) = search(data, [Candidate(SMALL[name] | params, name)], [], jobs=1)
    assert isinstance(found, Fitted), found
    return found.model


def test_every_estimator_is_tried() -> None:
    assert SMALL.keys() == ESTIMATORS.keys()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("features", [NUMBERS, MIXED], ids=["numbers", "mixed"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_export_gives_the_answers_of_the_model(name: str, features: tuple[Column, ...], classes: int) -> None:
    data = made_up(features, classes)
    model = fitted(data, name)
    rows = data.features.to_numpy(dtype=np.float32)
    labels, probabilities = onnx_export.predict(onnx_export.export(model, data, 20_000), rows)
    assert (labels == model.predict(data.features)).all()
    assert probabilities.shape == (len(rows), classes)
    assert (model.predict(data.features) == data.labels).mean() > 0.6


@pytest.mark.parametrize("name", ESTIMATORS)
def test_two_hundred_features_and_fifty_classes(name: str) -> None:
    many = tuple(
        column.model_copy(update={"name": f"{column.name} {number}"}) for number in range(34) for column in MIXED
    )[:200]
    data = made_up(many, 50, 500)
    few = {"gradient_boosting": {"n_estimators": 2, "max_depth": 2}, "hist_gradient_boosting": {"max_iter": 2}}
    model = fitted(data, name, **few.get(name, {}))
    assert onnx_export.export(model, data, 1000)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_model_is_judged_on_the_numbers_that_the_service_shows_it(name: str) -> None:
    data = made_up((Column(name="seconds since 1970", type="integer"),), 2)
    digits = 1_700_000_000 + 40 * data.labels + np.arange(len(data.labels)) % 30  # float32 has steps of 128 there
    data = replace(data, features=pd.DataFrame({"seconds since 1970": digits.astype(float)}))
    shown = data.features.astype(np.float32)
    (found,) = search(data, [Candidate(SMALL[name], name)], data.folds(3), jobs=1)
    assert isinstance(found, Fitted), found
    assert found.metrics["cv_accuracy_mean"] < 0.8
    judged = found.model.predict(shown.iloc[data.holdout])
    assert found.metrics["holdout_accuracy"] == (judged == data.labels[data.holdout]).mean()
    assert predict_holdout(found.model, data).tolist() == judged.tolist()
    recorded = build_manifest(found.model, data).example
    given = pd.DataFrame(np.array(recorded.inputs, dtype=np.float32), columns=shown.columns)
    np.testing.assert_array_equal(found.model.predict_proba(given), recorded.probabilities)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_numbers_almost_too_large_for_float32(name: str) -> None:
    data = made_up((Column(name="size", type="number"),), 2)
    data = replace(data, features=data.features.abs() * 2e38 / data.features.abs().max())
    model = fitted(data, name)
    rows = proof_rows.proof_rows(model, data, 1000)
    assert np.isfinite(rows).all()
    assert np.abs(rows).max() > 2e38
    try:
        assert onnx_export.export(model, data, 1000)
    except onnx_export.NotEqualError as error:  # it is registered without an export, and says why
        assert "scikit-learn has no answer to some rows: " in str(error)  # noqa: PT017


def test_the_votes_of_a_forest_tie_alike_for_two_classes() -> None:
    data = made_up(NUMBERS, 2)
    forest = fitted(data, "random_forest", n_estimators=50)  # half of them don't add up to 0.5 in float32
    rows = proof_rows.proof_rows(forest, data)
    ties = forest.predict_proba(pd.DataFrame(rows, columns=data.features.columns))[:, 0] == 0.5
    assert ties.sum() > 10
    labels, _ = onnx_export.predict(onnx_export.export(forest, data), rows)
    assert (labels[ties] == 0).all()


@given(st.lists(st.floats(width=64, allow_nan=False), min_size=1), st.floats(width=32, allow_nan=False))
def test_a_threshold_that_is_rounded_down_divides_float32_alike(values: list[float], number: float) -> None:
    exact = np.array(values)
    rounded = round_down(exact)
    assert rounded.dtype == np.float32
    with np.errstate(over="ignore"):
        above = np.nextafter(rounded, np.float32(np.inf))
    for x in (np.float32(number), *rounded, *above):
        assert ((x <= exact) == (x <= rounded)).all()


def test_histograms_are_judged_with_thresholds_that_float32_can_represent() -> None:
    model = fitted(made_up(NUMBERS), "hist_gradient_boosting")
    found = np.concatenate([values for _, values in thresholds(model)])
    assert len(found) > 100
    assert (found == found.astype(np.float32)).all()


def test_the_proof_has_every_category_missing_values_and_both_sides_of_zero() -> None:
    data = made_up(MIXED)
    rows = proof_rows.proof_rows(fitted(data, "logistic_regression"), data)
    columns = Columns.of(MIXED)
    for position, count in columns.codes.items():
        allowed = count - MIXED[position].required  # the last code means missing
        assert set(np.unique(rows[:, position])) == set(range(allowed))
    for position in columns.numbers:
        assert np.isnan(rows[:, position]).any() == (not MIXED[position].required)
        seen = np.abs(data.features.iloc[:, position]).max()
        assert np.nanmin(rows[:, position]) < -1.9 * seen
        assert np.nanmax(rows[:, position]) > 1.9 * seen


@pytest.mark.parametrize("name", ["random_forest", "gradient_boosting", "hist_gradient_boosting"])
def test_the_proof_has_every_threshold_and_its_neighbours(name: str) -> None:
    data = made_up(MIXED)
    model = fitted(data, name)
    rows = proof_rows.proof_rows(model, data)
    found = [np.concatenate(parts) for parts in zip(*thresholds(model), strict=True)]
    for column in range(len(MIXED)):
        exact = np.unique(found[1][found[0] == column].astype(np.float32))
        beside = [np.nextafter(exact, np.float32(way)) for way in (-np.inf, np.inf)]
        numbers = np.concatenate([exact, *beside])
        assert np.isin(numbers[np.isfinite(numbers)], rows[:, column]).all()


def test_probabilities_that_are_not_numbers_are_refused() -> None:
    data = made_up(NUMBERS)
    content = onnx_export.export(fitted(data, "logistic_regression"), data)
    rows = data.features.to_numpy(dtype=np.float32)
    rows = rows[onnx_export.predict(content, rows)[0] == 0]
    broken = SimpleNamespace(
        feature_names_in_=data.features.columns, predict_proba=lambda rows: np.full((len(rows), 3), np.nan)
    )
    with pytest.raises(onnx_export.NotEqualError, match="0 of .* labels, probabilities by nan"):
        onnx_export.compare(content, broken, rows)

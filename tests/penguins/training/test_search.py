import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import psutil
import psycopg
import pytest
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import cross_val_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.tree import _classes as tree_classes

from local.stack import Stack
from penguins.data.dataset import Dataset
from penguins.training.estimators import ESTIMATORS, Grid
from penguins.training.grid import Candidate, candidates
from penguins.training.search import Failed, Fitted, search
from penguins.training.snapshots import snapshot
from tests.penguins.conftest import GRID, TOO_MANY_TREES, real_penguins

GRIDS: dict[str, Grid] = {
    "random_forest": GRID,
    "gradient_boosting": {**GRID, "max_depth": [1, 2, 3, 4, None]},
    "logistic_regression": ESTIMATORS["logistic_regression"].grid,
    "hist_gradient_boosting": {"max_iter": [2, 5, 10, 20], "max_leaf_nodes": [2, 4, 8, 16, 31]},
}


@pytest.fixture(scope="module")
def data(stack: Stack) -> Dataset:
    with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as connection:
        return real_penguins(connection)


@pytest.fixture(scope="module")
def searched(data: Dataset) -> Callable[[str], list[Fitted]]:
    """Return a function that searches an estimator's grid once."""

    @cache
    def search_once(estimator: str) -> list[Fitted]:
        found = list(search(data, candidates(GRIDS[estimator], estimator), data.folds(3), jobs=2))
        assert all(isinstance(one, Fitted) for one in found)
        return [one for one in found if isinstance(one, Fitted)]

    return search_once


@pytest.fixture(scope="module")
def found(searched: Callable[[str], list[Fitted]]) -> list[Fitted]:
    return searched("random_forest")


def separately(data: Dataset, fitted: Fitted) -> ClassifierMixin:
    model = fitted.candidate.model(random_state=data.seed)
    return model.fit(data.seen(data.train).astype(float), data.labels[data.train])


def test_every_candidate_is_fitted_once(found: list[Fitted]) -> None:
    assert sorted(fitted.candidate.name for fitted in found) == sorted(c.name for c in candidates(GRID))


@pytest.mark.parametrize("estimator", ["random_forest", "gradient_boosting"])
def test_shared_fits_give_the_trees_of_separate_fits(
    data: Dataset, searched: Callable[[str], list[Fitted]], estimator: str
) -> None:
    for fitted in searched(estimator):
        alone = separately(data, fitted)
        ours, theirs = np.ravel(fitted.model.estimators_), np.ravel(alone.estimators_)
        assert len(fitted.model.estimators_) == len(alone.estimators_) == fitted.candidate.params["n_estimators"]
        for one, other in zip(ours, theirs, strict=True):
            assert one.tree_.__getstate__()["nodes"].tobytes() == other.tree_.__getstate__()["nodes"].tobytes()
        expected = alone.predict_proba(data.features)
        assert np.array_equal(fitted.model.predict_proba(data.features), expected)


def test_shared_fits_give_the_histograms_of_separate_fits(
    data: Dataset, searched: Callable[[str], list[Fitted]]
) -> None:
    for fitted in searched("hist_gradient_boosting"):
        alone = snapshot(separately(data, fitted))
        assert len(fitted.model._predictors) == fitted.candidate.params["max_iter"]
        for one, other in zip(fitted.model._predictors, alone._predictors, strict=True):
            assert [tree.nodes.tobytes() for tree in one] == [tree.nodes.tobytes() for tree in other]


@pytest.mark.parametrize("tree", [DecisionTreeClassifier, DecisionTreeRegressor])
def test_the_signature_of_a_tree_is_read_once(tree: type[Any]) -> None:
    signature = inspect.signature(tree.__init__)
    assert inspect.signature(tree.__init__) is signature
    assert list(signature.parameters) == ["self", *inspect.signature(tree).parameters]


def test_the_labels_of_a_forest_are_checked_once(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    grid, checks, check = candidates(GRID)[:1], [], tree_classes.check_classification_targets
    monkeypatch.setattr(tree_classes, "check_classification_targets", checks.append)
    (found,) = search(data, grid, [], jobs=1)
    assert isinstance(found, Fitted)
    assert not checks
    DecisionTreeClassifier().fit([[0], [1]], [0, 1])
    assert len(checks) == 1  # trees of others are checked
    monkeypatch.undo()
    assert tree_classes.check_classification_targets is check


def test_scaling_is_part_of_the_model(data: Dataset, searched: Callable[[str], list[Fitted]]) -> None:
    for fitted in searched("logistic_regression")[:5]:
        assert np.allclose(fitted.model[0].mean_, data.features.iloc[data.train].mean().to_numpy())
        expected = separately(data, fitted).predict_proba(data.features)
        assert np.allclose(fitted.model.predict_proba(data.features), expected)


def test_a_candidate_that_cannot_be_fitted_fails_alone_with_its_reason(data: Dataset) -> None:
    found = list(search(data, candidates(TOO_MANY_TREES, "gradient_boosting"), [], jobs=2))
    failed = [one for one in found if isinstance(one, Failed)]
    assert (len(found), len(failed)) == (20, 5)
    assert {one.candidate.size for one in failed} == {2**60}
    assert all(one.reason.startswith(("MemoryError", "ValueError: array is too big")) for one in failed)


def test_after_the_time_budget_nothing_is_fitted(data: Dataset) -> None:
    assert list(search(data, candidates(GRID), data.folds(3), jobs=2, seconds=0)) == []


def test_metrics_are_those_of_scikit_learn(data: Dataset, found: list[Fitted]) -> None:
    for fitted in found[::5]:
        alone = separately(data, fitted)
        rows, labels = data.features.iloc[data.holdout], data.labels[data.holdout]
        assert fitted.metrics["holdout_accuracy"] == accuracy_score(labels, alone.predict(rows))
        folds = [(np.searchsorted(data.train, fit), np.searchsorted(data.train, judge)) for fit, judge in data.folds(3)]
        model = RandomForestClassifier(**fitted.candidate.params, random_state=data.seed)
        scores = cross_val_score(model, data.features.iloc[data.train], data.labels[data.train], cv=folds)
        assert fitted.metrics["cv_accuracy_mean"] == pytest.approx(scores.mean())
        assert fitted.metrics["cv_accuracy_std"] == pytest.approx(scores.std())
        assert fitted.metrics["fit_seconds"] > 0


@pytest.mark.parametrize("estimator", GRIDS)
def test_models_take_data_frames_without_a_warning(
    data: Dataset, searched: Callable[[str], list[Fitted]], estimator: str, recwarn: pytest.WarningsRecorder
) -> None:
    searched(estimator)[0].model.predict(data.features)
    assert not [warning for warning in recwarn if "feature names" in str(warning.message)]


def test_fits_in_processes_are_those_that_are_made_here(data: Dataset) -> None:
    few = [
        Candidate({"max_depth": 1, "n_estimators": 2}, "random_forest"),
        Candidate({"max_depth": 1, "n_estimators": 5}, "random_forest"),
        Candidate({"max_depth": 2, "n_estimators": 5}, "gradient_boosting"),
        Candidate({"max_leaf_nodes": 4, "max_iter": 5}, "hist_gradient_boosting"),
        Candidate({"C": 1.0}, "logistic_regression"),
    ]

    def fit(jobs: int) -> dict[str, tuple[bytes, dict[str, float]]]:
        found = search(data, few, data.folds(2), jobs)
        return {f"{one.candidate}": result_of(one, data) for one in found}

    here = fit(1)
    assert len(here) == len(few)
    assert fit(2) == here


def result_of(one: Fitted | Failed, data: Dataset) -> tuple[bytes, dict[str, float]]:
    assert isinstance(one, Fitted)
    metrics = {name: value for name, value in one.metrics.items() if name != "fit_seconds"}
    return one.model.predict_proba(data.features).tobytes(), metrics


def test_no_process_outlives_the_search(data: Dataset) -> None:
    before = psutil.Process().children()
    list(search(data, candidates(GRID), [], jobs=2))
    assert psutil.Process().children() == before

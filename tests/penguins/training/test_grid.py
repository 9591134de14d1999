from typing import Any

import pytest

from penguins.errors import UserError
from penguins.training.estimators import ESTIMATORS, FOREST, choose
from penguins.training.grid import candidates

ENOUGH = {"n_estimators": [10, 20, 30, 40, 50], "max_depth": [None, 2, 4, 8]}


def test_every_combination_once() -> None:
    found = candidates(ENOUGH)
    assert len(found) == 20
    assert len({candidate.name for candidate in found}) == 20
    assert {"n_estimators": 10, "max_depth": None} in [candidate.params for candidate in found]
    assert found[0].name == "max_depth=null n_estimators=10"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"n_estimators": [10, 20]}, "2 combinations, at least 20 are needed"),
    ({**ENOUGH, "trees": [1]}, "unknown hyperparameter trees. Allowed are .*max_depth.*n_estimators"),
    ({**ENOUGH, "random_state": [1, 2]}, "unknown hyperparameter random_state"),
    ({**ENOUGH, "max_depth": [1, -1, 2, 3]}, "'max_depth' parameter of RandomForestClassifier must be .* Got -1"),
    ({**ENOUGH, "criterion": ["gini", "best"]}, "'criterion' parameter .* Got 'best'"),
    ({**ENOUGH, "n_estimators": 10}, "n_estimators must be a list of values, not 10"),
    ({**ENOUGH, "criterion": "gini"}, "criterion must be a list of values, not 'gini'"),
    ({**ENOUGH, "max_depth": []}, r"max_depth must be a list of values, not \[\]"),
    ({**ENOUGH, "max_depth": [1, 2, 2, 3]}, "max_depth has a value twice"),
    ({**ENOUGH, "n_estimators": [True, 2, 3, 4, 5]}, "n_estimators can't be true or false"),
    ({**ENOUGH, "max_samples": [0.5], "bootstrap": [False]}, "`max_sample` cannot be set if `bootstrap=False`"),
    ({**ENOUGH, "class_weight": ["balanced"]}, "unknown hyperparameter class_weight"),
    ({}, "1 combinations, at least 20"),
]


@pytest.mark.parametrize(("grid", "message"), REFUSED)
def test_a_grid_that_cannot_be_used_is_refused(grid: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        candidates(grid)


REGRESSION = {"C": [0.1, 1.0, 10.0, 100.0, 1000.0], "tol": [0.1, 0.01, 0.001, 0.0001]}
REFUSED_OF_OTHERS: list[tuple[str, dict[str, Any], str]] = [
    ("svm", ENOUGH, "estimator: 'svm' is unknown. Known are random_forest, gradient_boosting, logistic_regression"),
    ("logistic_regression", ENOUGH, "unknown hyperparameter max_depth, n_estimators. Allowed are C, class_weight"),
    ("logistic_regression", {**REGRESSION, "C": [-1.0, *REGRESSION["C"]]}, "'C' parameter of LogisticRegression .* -1"),
    ("logistic_regression", {**REGRESSION, "l1_ratio": [0.5]}, "lbfgs"),
    ("gradient_boosting", {**ENOUGH, "criterion": ["gini"]}, "unknown hyperparameter criterion"),
]


@pytest.mark.parametrize(("name", "grid", "message"), REFUSED_OF_OTHERS)
def test_each_estimator_has_its_own_hyperparameters(name: str, grid: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        candidates(grid, name)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_each_estimator_has_a_grid_of_its_own(name: str) -> None:
    assert len(candidates(None, name)) == 24
    assert {candidate.estimator for candidate in candidates(None, name)} == {name}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_parameters_set_by_seed_or_machine_are_not_allowed(name: str) -> None:
    allowed = ESTIMATORS[name].allowed
    assert not {"random_state", "n_jobs", "verbose", "warm_start"} & set(allowed)
    (*_, last) = getattr(ESTIMATORS[name].build(), "named_steps", {"": ESTIMATORS[name].build()}).values()
    assert set(allowed) < set(last.get_params())


def test_the_forest_is_the_default() -> None:
    assert candidates() == candidates(None, FOREST)


def test_auto_chooses_by_the_number_of_rows() -> None:
    assert [choose("auto", rows) for rows in (2, 9_999, 10_000)] == [FOREST, FOREST, "hist_gradient_boosting"]
    assert choose("logistic_regression", 1_000_000) == "logistic_regression"


def test_early_stopping_cannot_be_varied() -> None:
    with pytest.raises(UserError, match="unknown hyperparameter early_stopping"):
        candidates({"max_iter": [1, 2, 3, 4, 5], "early_stopping": [True, False]}, "hist_gradient_boosting")

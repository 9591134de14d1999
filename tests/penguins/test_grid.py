from typing import Any

import pytest
from sklearn.ensemble import RandomForestClassifier

from penguins.errors import UserError
from penguins.grid import ALLOWED, candidates

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


def test_what_the_seed_and_the_machine_decide_is_not_allowed() -> None:
    assert not {"random_state", "n_jobs", "verbose", "warm_start"} & set(ALLOWED)
    assert set(ALLOWED) < set(RandomForestClassifier().get_params())

"""The estimators that a grid search can use, by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from penguins.errors import UserError

Grid = Mapping[str, Sequence[Any]]

FOREST: Final = "random_forest"


@dataclass(frozen=True)
class Estimator:
    """A kind of model with its grid.

    Attributes:
        build: builds the unfitted model from hyperparameters and a `random_state`. Scaling is part of the model, so
            that training and serving can't differ.
        allowed: hyperparameters that a grid may vary. The others are set elsewhere (random_state by the seed, n_jobs by
            the machine), don't change the model (verbose), are incompatible with growing one model through its sizes
            (warm_start, class_weight of a forest), or can't be written in JSON (monotonic_cst).
        grid: the default grid.
    """

    build: Callable[..., ClassifierMixin]
    allowed: tuple[str, ...]
    grid: Grid


def _forest(**params: Any) -> RandomForestClassifier:
    return RandomForestClassifier(**params)


def _boosting(**params: Any) -> GradientBoostingClassifier:
    # Not HistGradientBoosting, which compares float64 with its thresholds; ONNX and this one compare float32.
    return GradientBoostingClassifier(**params)


def _regression(**params: Any) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(**{"max_iter": 1000} | params))


_TREES: Final = (
    "ccp_alpha",
    "max_depth",
    "max_features",
    "max_leaf_nodes",
    "min_impurity_decrease",
    "min_samples_leaf",
    "min_samples_split",
    "min_weight_fraction_leaf",
    "n_estimators",
)

ESTIMATORS: Final[Mapping[str, Estimator]] = {
    FOREST: Estimator(
        _forest,
        ("bootstrap", "criterion", "max_samples", *_TREES),
        {"n_estimators": [50, 100, 200], "max_depth": [None, 4, 8, 12], "min_samples_split": [2, 5]},
    ),
    "gradient_boosting": Estimator(
        _boosting,
        ("learning_rate", "subsample", *_TREES),
        {"n_estimators": [50, 100, 200], "max_depth": [1, 2, 3, 4], "learning_rate": [0.03, 0.1]},
    ),
    "logistic_regression": Estimator(
        _regression,
        ("C", "class_weight", "fit_intercept", "l1_ratio", "max_iter", "solver", "tol"),
        {"C": [float(value) for value in np.logspace(-3, 2.5, 12).round(4)], "class_weight": [None, "balanced"]},
    ),
}


def estimator(name: str) -> Estimator:
    """Return the estimator of that name.

    Raises:
        UserError: there is none.
    """
    if name not in ESTIMATORS:
        raise UserError(f"estimator: {name!r} is unknown. Known are {', '.join(ESTIMATORS)}.")
    return ESTIMATORS[name]

"""The estimators that a grid search can use, by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from penguins.errors import UserError
from penguins.training.columns import NUMBERS, Columns, fill_in, scale

Grid = Mapping[str, Sequence[Any]]

FOREST: Final = "random_forest"
HISTOGRAMS: Final = "hist_gradient_boosting"
AUTO: Final = "auto"
LARGE: Final = 10_000  # rows from which `auto` chooses histograms: exact splits take too long from there on


@dataclass(frozen=True)
class Estimator:
    """A kind of model with its grid.

    Attributes:
        build: builds the unfitted model for the columns that it is to see, from hyperparameters and a `random_state`.
            Scaling and imputing are part of the model, so that training and serving can't differ.
        allowed: hyperparameters that a grid may vary. The others are set elsewhere (random_state by the seed, n_jobs by
            the machine), don't change the model (verbose), are incompatible with growing one model through its sizes
            (warm_start, class_weight of a forest), or can't be written in JSON (monotonic_cst).
        grid: the default grid.
        size: the hyperparameter that a fitted model can grow by; empty for none.
    """

    build: Callable[..., ClassifierMixin]
    allowed: tuple[str, ...]
    grid: Grid
    size: str = ""


def _forest(columns: Columns = NUMBERS, **params: Any) -> RandomForestClassifier:
    del columns  # its trees take codes as they are, and learn where missing numbers go
    return RandomForestClassifier(**params)


def _boosting(columns: Columns = NUMBERS, **params: Any) -> GradientBoostingClassifier | Pipeline:
    model = GradientBoostingClassifier(**params)
    return make_pipeline(fill_in(), model) if columns.may_be_missing else model


def _histograms(columns: Columns = NUMBERS, **params: Any) -> HistGradientBoostingClassifier:
    # Codes are numbers to it, for ONNX has no splits by sets of categories. Early stopping would split by chance, and
    # make a smaller model no prefix of a larger one.
    del columns
    return HistGradientBoostingClassifier(early_stopping=False, **params)


def _regression(columns: Columns = NUMBERS, **params: Any) -> Pipeline:
    return make_pipeline(scale(columns), LogisticRegression(**{"max_iter": 1000} | params))


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
        "n_estimators",
    ),
    "gradient_boosting": Estimator(
        _boosting,
        ("learning_rate", "subsample", *_TREES),
        {"n_estimators": [50, 100, 200], "max_depth": [1, 2, 3, 4], "learning_rate": [0.03, 0.1]},
        "n_estimators",
    ),
    "logistic_regression": Estimator(
        _regression,
        ("C", "class_weight", "fit_intercept", "l1_ratio", "max_iter", "solver", "tol"),
        {"C": [float(value) for value in np.logspace(-3, 2.5, 12).round(4)], "class_weight": [None, "balanced"]},
    ),
    HISTOGRAMS: Estimator(
        _histograms,
        (
            "l2_regularization",
            "learning_rate",
            "max_bins",
            "max_depth",
            "max_iter",
            "max_leaf_nodes",
            "min_samples_leaf",
        ),
        {"max_iter": [25, 50, 100], "max_leaf_nodes": [4, 8, 16, 31], "learning_rate": [0.1, 0.2]},
        "max_iter",
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


def choose(name: str, rows: int) -> str:
    """Return the name of an estimator; for `auto` the one that suits a table of that many rows."""
    if name != AUTO:
        return name
    return FOREST if rows < LARGE else HISTOGRAMS

"""Copies of fitted models, in the form that is judged, logged and exported."""

from copy import copy

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline


def snapshot(model: ClassifierMixin) -> ClassifierMixin:
    """Copy a fitted model, so that later growth of `model` doesn't change the copy.

    The thresholds of histograms are rounded in the copy, so that ONNX Runtime, which compares float32, gives the same
    answers.
    """
    taken = copy(model)
    if isinstance(taken, Pipeline):
        taken.steps = [(name, snapshot(step)) for name, step in model.steps]
        return taken
    if hasattr(taken, "estimators_"):
        taken.estimators_ = copy(model.estimators_)
    if isinstance(taken, HistGradientBoostingClassifier):
        taken._predictors = [[_rounded(tree) for tree in trees] for trees in model._predictors]
    if hasattr(taken, "warm_start"):
        taken.warm_start = False
    return taken


def _rounded(tree: object) -> object:
    """Copy a tree of histograms with thresholds that float32 can represent.

    They are rounded down: x <= threshold is then the same as before for every float32 x.
    """
    taken = copy(tree)
    taken.nodes = tree.nodes.copy()  # type: ignore[attr-defined]
    taken.nodes["num_threshold"] = round_down(taken.nodes["num_threshold"])  # type: ignore[attr-defined]
    return taken


def round_down(values: np.ndarray) -> np.ndarray:
    """Return the greatest float32 values that aren't greater than these."""
    with np.errstate(over="ignore"):  # beyond the greatest float32, it is infinity that is rounded down
        rounded = values.astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, np.float32(-np.inf)), rounded)

"""Fit and judge the candidates of a grid.

Candidates that differ only in their number of trees or rounds share one fit. With an integer `random_state` the smaller
ensemble is a prefix of the larger one, so one model grows through all sizes (`warm_start`, scikit-learn user guide
1.11.2).
"""

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from penguins.data.dataset import Dataset, Fold
from penguins.training.columns import Columns
from penguins.training.grid import Candidate
from penguins.training.processes import do_all
from penguins.training.scores import score
from penguins.training.snapshots import snapshot
from penguins.training.tree_checks import labels_checked_once


@dataclass(frozen=True)
class Fitted:
    """A candidate, fitted on the whole training part and judged.

    Attributes:
        metrics: `cv_*` over the folds (mean, and standard deviation of the accuracy), `holdout_*`
            on the hold-out, `fit_seconds` of the one fit on the training part.
    """

    candidate: Candidate
    model: ClassifierMixin
    metrics: dict[str, float]


@dataclass(frozen=True)
class Failed:
    """A candidate that couldn't be fitted, with the reason."""

    candidate: Candidate
    reason: str


@dataclass(frozen=True)
class _Stage:
    """The result of a candidate on one split: metrics and model, or the reason of its failure."""

    candidate: Candidate
    metrics: dict[str, float]
    fit_seconds: float
    model: ClassifierMixin | None = None
    reason: str = ""


def search(
    data: Dataset, grid: Sequence[Candidate], folds: Sequence[Fold], jobs: int = -1, seconds: float = math.inf
) -> Iterator[Fitted | Failed]:
    """Fit every candidate on every fold and on the whole training part.

    Args:
        seconds: time after which no fit is started; a candidate that lacks one isn't yielded.

    Yields:
        The candidates when they are ready, in no particular order.
    """
    features = data.seen().to_numpy()
    splits = [*folds, (data.train, data.holdout)]
    names, columns = np.array(data.features.columns, dtype=object), Columns.of(data.contract.features)
    deadline = time.monotonic() + seconds  # one clock for all processes of a machine
    work = [
        partial(
            _fit_cell,
            cell,
            columns,
            features,
            data.labels,
            split,
            data.seed,
            names if split is splits[-1] else None,
            deadline,
        )
        for cell in cells(grid)
        for split in splits
    ]
    waiting: dict[str, list[_Stage]] = defaultdict(list)
    for stages in do_all(work, jobs):
        for stage in stages:
            done = waiting[stage.candidate.name]
            done.append(stage)
            if len(done) == len(splits):
                yield _summary(waiting.pop(stage.candidate.name))


def cells(grid: Sequence[Candidate]) -> list[list[Candidate]]:
    """Group the candidates that share a fit, each group in the order of its size."""
    found: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in grid:
        rest = {name: value for name, value in candidate.params.items() if name != candidate.grows_by}
        found[Candidate(rest).name].append(candidate)
    return [sorted(cell, key=lambda candidate: candidate.size) for cell in found.values()]


def _fit_cell(
    cell: Sequence[Candidate],
    columns: Columns,
    features: np.ndarray,
    labels: np.ndarray,
    split: Fold,
    seed: int,
    keep_as: np.ndarray | None,
    deadline: float,
) -> list[_Stage]:
    """Grow one model through all sizes of the cell until the deadline, and score it at each size.

    Args:
        keep_as: names of the features if the models are to be kept, else None.
    """
    fit, judge = split
    learned = features[fit].astype(np.float64)  # sums in float32 would be less exact
    grown: dict[str, Any] = {"warm_start": True} if len(cell) > 1 else {}
    model, stages, seconds = None, [], 0.0
    for candidate in cell:
        if time.monotonic() > deadline:
            break
        try:
            started = time.perf_counter()
            if model is None:
                model = candidate.model(columns, random_state=seed, **grown)
            else:
                _last(model).set_params(**{candidate.grows_by: candidate.size})
            with labels_checked_once():
                model.fit(learned, labels[fit])
            seconds += time.perf_counter() - started
            taken = snapshot(model)
            metrics = score(labels[judge], taken.predict_proba(features[judge]))
            stages.append(_Stage(candidate, metrics, seconds, None if keep_as is None else _named(taken, keep_as)))
        except Exception as error:  # noqa: BLE001 - any error fails this candidate only
            model = None
            stages.append(_Stage(candidate, {}, seconds, reason=f"{type(error).__name__}: {error}"))
    return stages


def _last(model: ClassifierMixin) -> ClassifierMixin:
    return model[-1] if isinstance(model, Pipeline) else model


def _named(model: ClassifierMixin, names: np.ndarray) -> ClassifierMixin:
    """Give a model that was fitted on an array, for speed, the names of the data frames that it will predict on."""
    if isinstance(model, Pipeline):
        _named(model[0], names)
        return model
    model.feature_names_in_ = names
    if isinstance(model, ColumnTransformer):
        for _, step, positions in model.transformers_:
            _named(step, names[positions])
    return model


def _summary(stages: Sequence[_Stage]) -> Fitted | Failed:
    if reasons := sorted(stage.reason for stage in stages if stage.reason):
        return Failed(stages[0].candidate, reasons[0])
    model, whole = next((stage.model, stage) for stage in stages if stage.model is not None)
    # Sorted, so that the order in which the folds were done doesn't change the last digit of a mean.
    folds = sorted((stage.metrics for stage in stages if stage.model is None), key=lambda fold: tuple(fold.values()))
    metrics: dict[str, Any] = {f"holdout_{name}": value for name, value in whole.metrics.items()}
    if folds:
        metrics |= {f"cv_{name}_mean": float(np.mean([fold[name] for fold in folds])) for name in whole.metrics}
        metrics["cv_accuracy_std"] = float(np.std([fold["accuracy"] for fold in folds]))
    metrics["fit_seconds"] = whole.fit_seconds
    return Fitted(whole.candidate, model, metrics)

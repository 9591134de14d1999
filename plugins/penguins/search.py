"""Fit and judge the candidates of a grid.

Candidates that differ only in their number of trees share one fit: with an integer
`random_state` the smaller forest is a prefix of the larger one, so it is taken on the way to
it (`warm_start`, scikit-learn user guide 1.11.2).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, f1_score, log_loss

from penguins.contract import SPECIES
from penguins.grid import Candidate

if TYPE_CHECKING:  # the processes that fit import this module: spare them pandas, pyarrow and psycopg
    from penguins.dataset import Dataset, Fold

LABELS = range(len(SPECIES))


@dataclass(frozen=True)
class Fitted:
    """A candidate, fitted on the whole training part and judged.

    Attributes:
        metrics: `cv_*` over the folds (mean, and standard deviation of the accuracy), `holdout_*`
            on the hold-out, `fit_seconds` of the one fit on the training part.
    """

    candidate: Candidate
    model: RandomForestClassifier
    metrics: dict[str, float]


@dataclass(frozen=True)
class _Stage:
    """A candidate as fitted on the rows of one split."""

    candidate: Candidate
    metrics: dict[str, float]
    fit_seconds: float
    model: RandomForestClassifier | None


def search(data: Dataset, grid: Sequence[Candidate], folds: Sequence[Fold], jobs: int = -1) -> Iterator[Fitted]:
    """Fit every candidate on every fold and on the whole training part.

    Yields:
        The candidates as they are ready, in no particular order.
    """
    features = data.features.to_numpy(dtype=np.float32)  # what the trees would cast to, once
    splits = [*folds, (data.train, data.holdout)]
    names = list(data.features.columns)
    work = [
        delayed(_fit_cell)(cell, features, data.labels, split, data.seed, names if split is splits[-1] else None)
        for cell in cells(grid)
        for split in splits
    ]
    waiting: dict[str, list[_Stage]] = defaultdict(list)
    try:
        for stages in Parallel(n_jobs=jobs, return_as="generator_unordered")(work):
            for stage in stages:
                done = waiting[stage.candidate.name]
                done.append(stage)
                if len(done) == len(splits):
                    yield _summary(waiting.pop(stage.candidate.name))
    finally:
        # joblib keeps its processes for a next call; a task ends without telling them, and they'd stay for minutes
        get_reusable_executor().shutdown(wait=True, kill_workers=True)


def cells(grid: Sequence[Candidate]) -> list[list[Candidate]]:
    """Candidates that share a fit, each group in the order of its number of trees."""
    found: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in grid:
        rest = {name: value for name, value in candidate.params.items() if name != "n_estimators"}
        found[Candidate(rest).name].append(candidate)
    return [sorted(cell, key=lambda candidate: candidate.trees) for cell in found.values()]


def _fit_cell(
    cell: Sequence[Candidate],
    features: np.ndarray,
    labels: np.ndarray,
    split: Fold,
    seed: int,
    keep_as: list[str] | None,
) -> list[_Stage]:
    """Grow one forest through all sizes of the cell, judging it at each.

    `keep_as`: the names of the features if the models are to be kept, else None.
    """
    fit, judge = split
    forest = RandomForestClassifier(random_state=seed, warm_start=True)
    stages, seconds = [], 0.0
    for candidate in cell:
        forest.set_params(**candidate.params)
        started = time.perf_counter()
        forest.fit(features[fit], labels[fit])
        seconds += time.perf_counter() - started
        metrics = score(labels[judge], forest.predict_proba(features[judge]))
        model = _snapshot(forest, keep_as) if keep_as else None
        stages.append(_Stage(candidate, metrics, seconds, model))
    return stages


def _snapshot(forest: RandomForestClassifier, names: list[str]) -> RandomForestClassifier:
    """The forest as it is now: later growth of `forest` doesn't reach it."""
    model = copy(forest)
    model.estimators_ = list(forest.estimators_)
    model.warm_start = False
    model.feature_names_in_ = np.array(names, dtype=object)  # fitted on an array for speed, meant for data frames
    return model


def score(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Accuracy, macro-averaged F1 and log loss of `probabilities` `[n, 3]` against `labels` `[n]`."""
    predicted = probabilities.argmax(axis=1)
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "f1_macro": float(f1_score(labels, predicted, average="macro", labels=LABELS, zero_division=0)),
        "log_loss": float(log_loss(labels, probabilities, labels=LABELS)),
    }


def _summary(stages: Sequence[_Stage]) -> Fitted:
    model, whole = next((stage.model, stage) for stage in stages if stage.model is not None)
    # sorted: in which order the folds were done must not show, not even in the last digit of a mean
    folds = sorted((stage.metrics for stage in stages if stage.model is None), key=lambda fold: tuple(fold.values()))
    metrics: dict[str, Any] = {f"holdout_{name}": value for name, value in whole.metrics.items()}
    if folds:
        metrics |= {f"cv_{name}_mean": float(np.mean([fold[name] for fold in folds])) for name in whole.metrics}
        metrics["cv_accuracy_std"] = float(np.std([fold["accuracy"] for fold in folds]))
    metrics["fit_seconds"] = whole.fit_seconds
    return Fitted(whole.candidate, model, metrics)

"""Samples of large tables, which candidates are judged on."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np

from penguins.data.dataset import Dataset

if TYPE_CHECKING:  # it imports scikit-learn, which takes half a second; `make promote` needs only the class Sample
    from penguins.training.estimators import Grid

SAMPLE_ROWS: Final = 40_000
"""Training rows that candidates are fitted and cross-validated on, at most; the best is fitted again on all."""

FEWEST: Final = 50  # rows of a class in a sample, if it has as many: there are at most 50 folds


@dataclass(frozen=True)
class Sample(Dataset):
    """Some rows of a large table, each class with its share of them.

    Attributes:
        of: number of training rows of the whole table.
    """

    of: int = 0


def judged_rows(data: Dataset, grid: Grid | None, most: int = SAMPLE_ROWS) -> Dataset:
    """Return the rows that the candidates of a grid are judged on: all if each of their trees draws its own sample."""
    return data if grid is not None and "max_samples" in grid else sample(data, most)


def sample(data: Dataset, most: int = SAMPLE_ROWS) -> Dataset:
    """Draw at most `most` rows of the training part and as many of the hold-out; a smaller table is returned whole."""
    if len(data.train) <= most:
        return data
    generator = np.random.default_rng(data.seed)
    train, holdout = (_stratified(data.labels, rows, most, generator) for rows in (data.train, data.holdout))
    chosen = np.sort(np.concatenate([train, holdout]))
    parts = {each.name: getattr(data, each.name) for each in fields(Dataset)}
    parts |= {"features": data.features.iloc[chosen].reset_index(drop=True), "labels": data.labels[chosen]}
    parts |= {"train": np.searchsorted(chosen, train), "holdout": np.searchsorted(chosen, holdout)}
    return Sample(**parts, of=len(data.train))


def _stratified(labels: np.ndarray, rows: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    if len(rows) <= most:
        return rows
    parts = []
    for label in np.unique(labels[rows]):
        members = rows[labels[rows] == label]
        count = max(round(most * len(members) / len(rows)), min(FEWEST, len(members)))
        parts.append(generator.choice(members, count, replace=False))
    return np.sort(np.concatenate(parts))

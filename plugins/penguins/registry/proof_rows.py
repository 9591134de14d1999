"""Rows on which an ONNX export must give the answers of its model."""

from typing import Final

import numpy as np
from sklearn.base import ClassifierMixin

from contract.encoding import Matrix, codes
from contract.schema import Column
from penguins.data.dataset import Dataset
from penguins.data.rules import LARGEST
from penguins.registry.onnx_trees import thresholds

RANDOM_ROWS: Final = 100_000
MISSING: Final = 0.1  # share of missing numbers, where they may be missing


def proof_rows(model: ClassifierMixin, data: Dataset, count: int = RANDOM_ROWS) -> Matrix:
    """Return the hold-out, random rows, and rows on and next to the thresholds of a model's trees.

    Random numbers are within, near and far outside the range of the data, on both sides of zero. Each category, and a
    missing value where the contract allows one, occurs in some rows.

    Args:
        count: number of the random rows, and the most of those at thresholds.
    """
    features = data.features.to_numpy(dtype=np.float32)
    generator = np.random.default_rng(data.seed)
    random = np.stack(
        [
            _random_codes(column, count, generator)
            if codes(column)
            else _random_numbers(column, values, count, generator)
            for column, values in zip(data.contract.features, features.T, strict=True)
        ],
        axis=1,
    )
    return np.vstack([features[data.holdout], random, _at_thresholds(model, random)])


def _random_codes(column: Column, count: int, generator: np.random.Generator) -> np.ndarray:
    found = np.arange(count) % (len(codes(column)) + (not column.required))
    return generator.permutation(found).astype(np.float32)


def _random_numbers(column: Column, values: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    seen = values[~np.isnan(values)] if not np.isnan(values).all() else np.ones(1, dtype=np.float32)
    far = min(2 * float(np.abs(seen).max()), LARGEST)
    drawn = np.concatenate(
        [
            generator.uniform(seen.min(), seen.max(), count // 2),
            generator.uniform(-far, far, count - count // 2),
        ]
    ).astype(np.float32)
    drawn = generator.permutation(drawn)
    if not column.required:
        drawn[generator.random(count) < MISSING] = np.nan
    return drawn


def _at_thresholds(model: ClassifierMixin, rows: Matrix) -> Matrix:
    """Replace numbers of rows by the thresholds of their columns, and by the numbers next to these in float32.

    A model with more of them than there are rows is given as many, chosen at random.
    """
    found = [np.concatenate(parts) for parts in zip(*thresholds(model), strict=True)]
    if not found:
        return rows[:0]
    columns, values = found[0], found[1].astype(np.float32)
    generator = np.random.default_rng(0)
    at: dict[int, np.ndarray] = {}
    for column in np.unique(columns):
        exact = np.unique(values[columns == column])
        beside = [np.nextafter(exact, np.float32(way)) for way in (-np.inf, np.inf)]
        numbers = np.concatenate([exact, *beside])
        numbers = numbers[np.isfinite(numbers)]  # a threshold of infinity divides numbers from missing ones
        if len(numbers):
            at[column] = generator.permutation(numbers)[: len(rows)]
    rows = rows[: max(map(len, at.values()), default=0)].copy()
    for column, numbers in at.items():
        rows[:, column] = np.resize(numbers, len(rows))
    return rows

"""The values that the codecs read and write."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Row = tuple[float, ...]
"""One row of the model's input, in the order of its features."""

Values = NDArray[np.float64]
"""Rows [n, features] of the model's input, columns in the order of its features."""

FLOAT32_OVERFLOW = 2.0**128 - 2.0**103
"""The least float64 that is rounded to infinity in float32."""


class Prediction(NamedTuple):
    """The prediction for one row, in Python's own types."""

    row: Row
    label: int
    probabilities: list[float]
    """Rounded, one for each class."""
    outside: list[int]
    """Columns with a value outside the range seen in training."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """The predictions for n rows."""

    rows: NDArray[np.floating]
    """[n, features], as they were given."""
    labels: NDArray[np.int64]
    """[n]."""
    probabilities: Values
    """float64 [n, classes], rounded."""
    outside: NDArray[np.bool_]
    """[n, features]: the value is outside the range seen in training."""


def table_columns(key: str, classes: Sequence[str]) -> list[str]:
    """Return the names of the columns of a table of predictions; `key` is that of the names of the classes."""
    return [
        "prediction",
        key,
        *(f"probability_{name}" for name in classes),
        "outside_training_range",
        "model_version",
    ]


def outside_names(names: Sequence[str], outside: NDArray[np.bool_]) -> list[str]:
    """Return for each row of `outside` [n, features] the names of the marked features.

    They are separated by spaces; by semicolons if there are spaces in names.
    """
    separator = "; " if any(" " in name for name in names) else " "
    packed = np.packbits(outside, axis=1)
    keys = packed.view(f"V{packed.shape[1]}").ravel().tolist()  # a row's bits as bytes
    _, first = np.unique(packed, axis=0, return_index=True)
    texts = {keys[row]: separator.join(np.compress(outside[row], names)) for row in first.tolist()}
    return [texts[key] for key in keys]

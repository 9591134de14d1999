"""Turn the values of rows into the matrix that a model sees; training and serving both use this module.

A number is itself, NaN if it is missing. A category is its position in the contract, a boolean 0 or 1; a missing one
has the next code, so that the matrix of a column with a missing category has one code more.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.schema import Category, Column

Matrix = NDArray[np.float32]
"""Rows [n, features], columns in the order of the features."""


def codes(column: Column) -> Mapping[Category | bool, int]:
    """Return the code of each value of a column of categories or booleans; without those of other columns."""
    if column.categories is not None:
        return {value: code for code, value in enumerate(column.categories)}
    return {False: 0, True: 1} if column.type == "boolean" else {}


def missing_value(column: Column) -> float:
    """Return the number that stands for a missing value."""
    return float("nan") if column.is_numeric else float(len(codes(column)))


def encode(column: Column, values: Iterable[Any]) -> NDArray[np.float64]:
    """Return the numbers [n] of a column's values; None and NaN are missing.

    Raises:
        KeyError: a value is none of the column's categories.
    """
    if column.is_numeric:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    known: dict[Any, float] = {**codes(column), None: missing_value(column)}
    return np.array([known[None if value != value else value] for value in values], dtype=np.float64)


def decode(column: Column, numbers: Iterable[float]) -> list[Any]:
    """Return the values of a column's numbers, as they stand in a request; None for missing ones."""
    if column.is_numeric:
        exact = int if column.type == "integer" else float
        return [None if number != number else exact(number) for number in numbers]
    values = {code: value for value, code in codes(column).items()}
    return [values.get(int(number)) for number in numbers]


def to_matrix(columns: Sequence[NDArray[np.floating]]) -> Matrix:
    """Return encoded columns [n], in the order of the features, as the matrix that a model sees."""
    return np.stack(columns, axis=1).astype(np.float32)

"""Predictions of one model version: labels, probabilities, and the values outside the range seen in training."""

from collections.abc import Iterator, Sequence
from math import copysign, isfinite
from operator import le
from typing import overload

import numpy as np
from numpy.typing import NDArray

from serving import metrics
from serving.codecs.base import Prediction, Predictions, Row
from serving.codecs.errors import Invalid, InvalidError, problem
from serving.inference.model import LoadedModel

PROBABILITY_DIGITS = 6
SCALE = 10.0**PROBABILITY_DIGITS


@overload
def predict(model: LoadedModel, batch: Row) -> Prediction: ...
@overload
def predict(model: LoadedModel, batch: NDArray[np.floating], first: int = 0) -> Predictions: ...
def predict(model: LoadedModel, batch: Row | NDArray[np.floating], first: int = 0) -> Prediction | Predictions:
    """Predict one row, or rows [n, features]; the model sees them in float32.

    One row is handled without numpy where numpy would take longer than the model.

    Args:
        first: number of rows of the request before these.

    Raises:
        InvalidError: a sum within the model is too large for float32, so it has no probabilities.
    """
    if isinstance(batch, tuple):
        row = np.array((batch,), dtype=np.float32)
        labels, probabilities = model.engine.predict(row)
        label = int(labels[0])
        outside = _outside(model, row[0].tolist())
        shares = probabilities[0].tolist()
        if not isfinite(sum(shares)):
            raise InvalidError(_no_answer())
        rounded = rounded_as_numpy(shares)
        metrics.count_prediction(model.name, model.version, model.contract.classes[label], model.is_first)
        return Prediction(batch, label, rounded, outside)
    rows = batch.astype(np.float32, copy=False)
    labels, probabilities = model.engine.predict(rows)
    digits = np.asarray(probabilities, dtype=np.float64).round(PROBABILITY_DIGITS)
    if not np.isfinite(digits).all():
        raise InvalidError(_no_answer(first + int(np.argmin(np.isfinite(digits).all(axis=1)))))
    metrics.count_predictions(model.name, model.version, model.contract.classes, labels, model.is_first)
    low, high = np.array((model.low, model.high), dtype=np.float32)
    return Predictions(batch, labels, digits, (rows < low) | (rows > high))


def predict_each(model: LoadedModel, rows: Sequence[Row]) -> Iterator[Prediction]:
    """Predict rows together, each as if it were alone.

    Raises:
        InvalidError: one of them has no answer.
    """
    answer = predict(model, np.array(rows))
    outside = answer.outside.tolist() if answer.outside.any() else [()] * len(rows)
    for row, label, shares, marks in zip(
        rows, answer.labels.tolist(), answer.probabilities.tolist(), outside, strict=True
    ):
        yield Prediction(row, label, shares, [column for column, mark in enumerate(marks) if mark])


def _outside(model: LoadedModel, row: list[float]) -> list[int]:
    if all(map(le, model.low, row)) and all(map(le, row, model.high)):
        return []
    return [
        column
        for column, (low, value, high) in enumerate(zip(model.low, row, model.high, strict=True))
        if not low <= value <= high and value == value  # a missing number is NaN
    ]


def rounded_as_numpy(values: list[float]) -> list[float]:
    """Round finite probabilities as numpy does, which differs from Python's `round` to digits at some float64 values.

    A negative one that is rounded to zero keeps its sign.
    """
    return [copysign(round(value * SCALE), value) / SCALE for value in values]


def _no_answer(*place: int) -> Invalid:
    row = f"[{place[0]}]: " if place else ""
    return problem("too_large", f"{row}the model has no answer: the values are too large to compute with", *place)

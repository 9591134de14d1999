"""Predictions of one model version: labels, probabilities, and the values outside the range seen in training."""

from typing import overload

import numpy as np
from numpy.typing import NDArray

from serving import metrics
from serving.codecs.base import Prediction, Predictions, Row
from serving.inference.model import LoadedModel

PROBABILITY_DIGITS = 6
SCALE = 10.0**PROBABILITY_DIGITS


@overload
def predict(model: LoadedModel, batch: Row) -> Prediction: ...
@overload
def predict(model: LoadedModel, batch: NDArray[np.floating]) -> Predictions: ...
def predict(model: LoadedModel, batch: Row | NDArray[np.floating]) -> Prediction | Predictions:
    """Predict one row, or rows [n, features]; the model sees them in float32.

    One row is handled without numpy where numpy would take longer than the model.
    """
    if isinstance(batch, tuple):
        row = np.array((batch,), dtype=np.float32)
        labels, probabilities = model.engine.predict(row)
        label = int(labels[0])
        outside = [
            column
            for column, (value, (low, high)) in enumerate(zip(row[0].tolist(), model.ranges, strict=True))
            if not low <= value <= high
        ]
        rounded = [*map(rounded_as_numpy, probabilities[0].tolist())]
        metrics.predictions(model.version, model.contract.species[label]).inc()
        return Prediction(batch, label, rounded, outside)
    rows = batch.astype(np.float32, copy=False)
    labels, probabilities = model.engine.predict(rows)
    low, high = np.array(model.ranges, dtype=np.float32).T
    metrics.count_predictions(model.version, model.contract.species, labels)
    digits = np.asarray(probabilities, dtype=np.float64).round(PROBABILITY_DIGITS)
    return Predictions(batch, labels, digits, (rows < low) | (rows > high))


def rounded_as_numpy(value: float) -> float:
    """Round a probability as numpy does, which differs from Python's `round` to digits at some float64 values."""
    return round(value * SCALE, 0) / SCALE

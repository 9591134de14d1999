"""From measurements to what the model says about them: labels, probabilities, and what makes them doubtful."""

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from serving import metrics
from serving.codecs.measurements import Penguin, Values
from serving.inference.contract import SPECIES
from serving.inference.engines import Labels, Rows
from serving.inference.model import LoadedModel

PROBABILITY_DIGITS = 6
MAX_WARNINGS = 100

_Probabilities = msgspec.defstruct("_Probabilities", [(name, float) for name in SPECIES], gc=False)
_encode = msgspec.json.Encoder().encode


class Prediction(BaseModel):
    """The answer of the model. Each list but `warnings` has one element for each penguin, in their order."""

    prediction: list[int] = Field(description=f"Label: index into {', '.join(SPECIES)}.", examples=[[0]])
    species: list[str] = Field(description="The label's name.", examples=[["Adelie"]])
    probabilities: list[dict[str, float]] = Field(
        description=f"Probability of each species, to {PROBABILITY_DIGITS} digits.",
        examples=[[{"Adelie": 0.98, "Chinstrap": 0.02, "Gentoo": 0.0}]],
    )
    model_version: str = Field(description="Version of the model that answered.", examples=["3"])
    warnings: list[str] = Field(
        description="What makes the answer doubtful, with the penguin's index where it is one of a list;"
        f" the first {MAX_WARNINGS}.",
        examples=[["bill_length_mm=20 mm is outside the range seen in training (32.1 to 59.6 mm)"]],
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What one version says about n penguins."""

    labels: Labels
    """int64 [n]."""
    probabilities: Values
    """float64 [n, 3], rounded."""
    outside: NDArray[np.bool_]
    """[n, 4]: the value is outside the range seen in training."""


def answer(model: LoadedModel, rows: Rows) -> Answer:
    """Predict float32 rows [n, 4], as scikit-learn makes them before it descends its trees."""
    labels, probabilities = model.engine.predict(rows)
    low, high = np.array(model.ranges, dtype=np.float32).T
    metrics.count_predictions(model.version, labels)
    rounded = np.asarray(probabilities, dtype=np.float64).round(PROBABILITY_DIGITS)
    return Answer(labels, rounded, (rows < low) | (rows > high))


def to_json(model: LoadedModel, given: Penguin | Values) -> bytes:
    """Return a `Prediction` of one penguin or of some, in JSON."""
    return _encode(_one(model, given) if isinstance(given, tuple) else _many(model, given))


def _one(model: LoadedModel, penguin: Penguin) -> dict[str, Any]:
    """Do as `_many` does, without numpy where it would take longer than the model."""
    row = np.array((penguin,), dtype=np.float32)
    labels, probabilities = model.engine.predict(row)
    label = int(labels[0])
    metrics.predicted(model.version, SPECIES[label]).inc()
    outside = [
        column
        for column, (value, (low, high)) in enumerate(zip(row[0].tolist(), model.ranges, strict=True))
        if not low <= value <= high
    ]
    return {
        "prediction": (label,),
        "species": (SPECIES[label],),
        "probabilities": (_Probabilities(*[round(value, PROBABILITY_DIGITS) for value in probabilities[0].tolist()]),),
        "model_version": model.version,
        "warnings": [_warning(model, column, penguin[column]) for column in outside],
    }


def _many(model: LoadedModel, values: Values) -> dict[str, Any]:
    answered = answer(model, values.astype(np.float32))
    labels, places = answered.labels.tolist(), np.argwhere(answered.outside)
    warnings = [
        f"[{row}]: {_warning(model, column, float(values[row, column]))}"
        for row, column in places[:MAX_WARNINGS].tolist()
    ]
    if len(places) > MAX_WARNINGS:
        warnings.append(f"{len(places) - MAX_WARNINGS} more values are outside the ranges seen in training")
    return {
        "prediction": labels,
        "species": [SPECIES[label] for label in labels],
        "probabilities": [*map(_Probabilities, *answered.probabilities.T.tolist())],
        "model_version": model.version,
        "warnings": warnings,
    }


def _warning(model: LoadedModel, column: int, value: float) -> str:
    feature = model.contract.features[column]
    return (
        f"{feature.name}={value:.10g} {feature.unit} is outside the range seen in training"
        f" ({feature.min:g} to {feature.max:g} {feature.unit})"
    )

"""The manifest of a model version: `inference/contract.json`, format version 1.

The pipeline writes it, the service reads it. docs/reference/contract.md describes its fields.
"""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

PROBABILITY_TOLERANCE: Final = 1e-4
"""Largest allowed difference between two runtimes' probabilities of one model.

Probabilities are averages or sums of float32 values, and each runtime adds them in its own order.
"""

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Feature(BaseModel):
    """A column of the model's input, and its range in the training data."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: str
    unit: str
    min: FiniteFloat
    max: FiniteFloat

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is more than max {self.max}")
        return self


class Contract(BaseModel):
    """The model's input and output: features in the order of its columns, species in the order of its labels."""

    model_config = ConfigDict(strict=True, frozen=True)

    contract_version: Literal[1] = 1
    features: list[Feature]
    species: list[str]


class Points(BaseModel):
    """Rows and their labels: inputs [n, features], labels [n]."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    inputs: Annotated[list[list[FiniteFloat]], Field(min_length=1)]
    labels: list[Annotated[int, Field(ge=0)]]

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        if len(self.inputs) != len(self.labels):
            raise ValueError("there is not one label for each row of inputs")
        return self


class Example(Points):
    """Answers of the model at its registration: also probabilities [n, species]."""

    probabilities: list[list[Probability]]

    @model_validator(mode="after")
    def _check_rows(self) -> Self:
        if len(self.inputs) != len(self.probabilities):
            raise ValueError("there is not one row of probabilities for each row of inputs")
        return self


class Manifest(Contract):
    """The whole file: the contract, recorded answers to verify the model by, and training data to draw."""

    model_config = ConfigDict(extra="forbid")

    contract_version: Literal[1]
    example: Example
    scatter: Points | None = None

    @model_validator(mode="after")
    def _check_shapes(self) -> Self:
        for name, points in (("example", self.example), ("scatter", self.scatter)):
            if points is not None:
                _check_widths(f"{name}.inputs", points.inputs, len(self.features))
                _check_labels(f"{name}.labels", points.labels, len(self.species))
        _check_widths("example.probabilities", self.example.probabilities, len(self.species))
        return self


def _check_widths(name: str, rows: list[list[float]], width: int) -> None:
    for index, row in enumerate(rows):
        if len(row) != width:
            raise ValueError(f"{name}.{index} has {len(row)} values instead of {width}")


def _check_labels(name: str, labels: list[int], classes: int) -> None:
    for index, label in enumerate(labels):
        if label >= classes:
            raise ValueError(f"{name}.{index} is {label}, and there are {classes} species")

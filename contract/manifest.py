"""The manifest of a model version: `inference/contract.json`, format version 2; version 1 can still be read.

The pipeline writes it, the service reads it. docs/reference/contract.md describes its fields.
"""

import hashlib
import json
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from contract import manifest_v1
from contract.encoding import codes
from contract.schema import MAX_NAME_BYTES, Column, class_names, name_of_answers

PROBABILITY_TOLERANCE: Final = 1e-4
"""Largest allowed difference between two runtimes' probabilities of one model.

Probabilities are averages or sums of float32 values, and each runtime adds them in its own order.
"""

MAX_FEATURES: Final = 1000
MAX_CLASSES: Final = 1000

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Value = FiniteFloat | None
"""A number of the matrix that the model sees; None for a missing number, which is NaN there."""


class Feature(Column):
    """A column of the model's input, and its range in the training data.

    Attributes:
        min, max: least and greatest number; None for categories, booleans, and a number that was always missing.
    """

    min: FiniteFloat | None = None
    max: FiniteFloat | None = None

    @property
    def seen(self) -> tuple[float, float]:
        """Return the range in the training data; an infinite one if there is none."""
        return (-float("inf"), float("inf")) if self.min is None or self.max is None else (self.min, self.max)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.role != "feature":
            raise ValueError(f"the role of {self.name!r} is {self.role}")
        if not self.is_numeric and not codes(self):
            raise ValueError(f"{self.name!r} is neither a number nor a category nor a boolean")
        if (self.min is None) != (self.max is None) or (self.min is not None and not self.is_numeric):
            raise ValueError(f"{self.name!r} needs min and max, or neither; only numbers have them")
        low, high = self.seen
        if low > high:
            raise ValueError(f"min {low} is more than max {high}")
        return self


class Contract(BaseModel):
    """The model's input and output: features in the order of its columns, classes in the order of its labels."""

    model_config = ConfigDict(strict=True, frozen=True)
    _VERSION_1: ClassVar[type[manifest_v1.Contract]] = manifest_v1.Contract

    contract_version: Literal[2] = 2
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
    title: str = ""
    target: Column
    features: Annotated[list[Feature], Field(min_length=1, max_length=MAX_FEATURES)]
    log_fraction: float = Field(default=1.0, ge=0, le=1, exclude_if=lambda share: share == 1)
    """Share of the requests that the service logs."""

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes, in the order of the labels."""
        return class_names(self.target)

    @cached_property
    def digest(self) -> bytes:
        """Return 16 bytes of names, types, categories and classes: what gives the numbers of a row their meaning."""
        features = [[each.name, each.type, each.categories] for each in self.features]
        meaning = [self.name, self.target.name, self.target.type, self.classes, features]
        return hashlib.sha256(json.dumps(meaning, separators=(",", ":")).encode()).digest()[:16]

    @property
    def answer_key(self) -> str:
        """Return the key of an answer of the service that names the classes."""
        return name_of_answers(self.target)

    @model_validator(mode="before")
    @classmethod
    def _upgrade(cls, value: Any) -> Any:
        """Read format version 1; in an `MLmodel` it may have no number."""
        if not isinstance(value, dict):
            return value
        version = value.get("contract_version", 2 if "target" in value else 1)
        if version == 1:
            return cls._VERSION_1.model_validate(value).upgrade()
        if version != 2:
            raise ValueError(f"contract_version is {version!r:.20}: formats 1 and 2 can be read")
        return value

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [column.name for column in (*self.features, self.target)]
        for name in names:
            if not name or len(name.encode()) > MAX_NAME_BYTES or any(ord(character) < 32 for character in name):
                raise ValueError(f"{name[:MAX_NAME_BYTES]!r} isn't the name of a column")
        if len(set(names)) < len(names):
            raise ValueError("two columns have the same name")
        if self.target.role != "target":
            raise ValueError(f"the role of the target {self.target.name!r} is {self.target.role}")
        if not 2 <= len(self.classes) <= MAX_CLASSES or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"{len(self.classes)} classes: 2 to {MAX_CLASSES} different ones are needed")
        return self


class Points(BaseModel):
    """Rows and their labels: inputs [n, features], labels [n]."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    inputs: Annotated[list[list[Value]], Field(min_length=1)]
    labels: list[Annotated[int, Field(ge=0)]]

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        if len(self.inputs) != len(self.labels):
            raise ValueError("there is not one label for each row of inputs")
        return self


class Example(Points):
    """Answers of the model at its registration: also probabilities [n, classes]."""

    probabilities: list[list[Probability]]

    @model_validator(mode="after")
    def _check_rows(self) -> Self:
        if len(self.inputs) != len(self.probabilities):
            raise ValueError("there is not one row of probabilities for each row of inputs")
        return self


class Manifest(Contract):
    """The whole file: the contract, recorded answers to verify the model by, and training data to draw."""

    model_config = ConfigDict(extra="forbid")
    _VERSION_1: ClassVar[type[manifest_v1.Contract]] = manifest_v1.Manifest

    contract_version: Literal[2]
    example: Example
    scatter: Points | None = None

    @property
    def contract(self) -> Contract:
        """Return the contract without the rows."""
        return Contract(
            name=self.name,
            title=self.title,
            target=self.target,
            features=self.features,
            log_fraction=self.log_fraction,
        )

    @model_validator(mode="after")
    def _check_shapes(self) -> Self:
        for name, points in (("example", self.example), ("scatter", self.scatter)):
            if points is not None:
                _check_values(f"{name}.inputs", points.inputs, self.features)
                _check_labels(f"{name}.labels", points.labels, len(self.classes))
        for index, row in enumerate(self.example.probabilities):
            _check_width(f"example.probabilities.{index}", len(row), len(self.classes))
        return self


def _check_values(name: str, rows: list[list[Value]], features: list[Feature]) -> None:
    highest = [None if feature.is_numeric else len(codes(feature)) for feature in features]
    for index, row in enumerate(rows):
        _check_width(f"{name}.{index}", len(row), len(features))
        for value, high in zip(row, highest, strict=True):
            if high is not None and (value is None or not 0 <= value <= high or value % 1):
                raise ValueError(f"{name}.{index} has {value}, which isn't a code from 0 to {high}")


def _check_width(name: str, found: int, width: int) -> None:
    if found != width:
        raise ValueError(f"{name} has {found} values instead of {width}")


def _check_labels(name: str, labels: list[int], classes: int) -> None:
    for index, label in enumerate(labels):
        if label >= classes:
            raise ValueError(f"{name}.{index} is {label}, and there are {classes} classes")

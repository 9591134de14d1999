"""The data contract of a table: its columns, how its files are read, and the model that is trained on it.

`contract.odcs` reads it from a file, and docs/reference/contract-file.md describes that file.
"""

from math import inf, nextafter
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from contract.monitoring import Monitoring
from contract.part import Part
from contract.training import Training

LogicalType = Literal["number", "integer", "boolean", "string", "date", "timestamp"]
Role = Literal["feature", "target", "id", "time", "ignored"]
Purpose = Literal["training", "scoring", "monitoring"]
"""Purpose of a DAG."""

Category = str | int
"""A value of a column with an enum."""

_LIST: Final = Field(strict=False)  # of a tuple, which a file can only give as a list

MAX_NAME_BYTES: Final = 63
"""PostgreSQL cuts longer identifiers off (NAMEDATALEN - 1)."""

SOURCE_ROW: Final = "source_row"
"""Column of each table with the number of the row in the source, from 1."""

_ANSWER: Final = frozenset(
    {"prediction", "prediction_id", "probabilities", "model_version", "warnings", "outside_training_range"}
)
"""Keys of an answer of the service that don't depend on the contract."""


class Bounds(Part):
    """Limits of a number; None for no limit."""

    minimum: FiniteFloat | None = None
    maximum: FiniteFloat | None = None
    exclusive_minimum: FiniteFloat | None = None
    exclusive_maximum: FiniteFloat | None = None

    @property
    def range(self) -> tuple[float, float]:
        """Return the least and the greatest float64 within the limits; an infinite one where there is no limit."""
        low = [-inf if self.minimum is None else self.minimum]
        low += [] if self.exclusive_minimum is None else [nextafter(self.exclusive_minimum, inf)]
        high = [inf if self.maximum is None else self.maximum]
        high += [] if self.exclusive_maximum is None else [nextafter(self.exclusive_maximum, -inf)]
        return max(low), min(high)

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        low = [each for each in (self.minimum, self.exclusive_minimum) if each is not None]
        high = [each for each in (self.maximum, self.exclusive_maximum) if each is not None]
        if low and high and max(low) > min(high):
            raise ValueError(f"the minimum {max(low):g} is above the maximum {min(high):g}")
        return self


class Column(Part):
    """A column of the table.

    Attributes:
        required: whether a row needs a value to be used; a feature that isn't required may be missing in a prediction.
        categories: all values that the column may have, in the order of their codes; None for any value.
        bounds: limits of the values, which hold in the data and in predictions.
        plausible: limits of the values that a model may learn from. A row outside is rejected before training; in a
            prediction such a value is answered, with a warning if it is outside of the range seen in training.
        title: name for people to read; empty for one made from `name`.
        decimals: digits after the point, to show and to enter; None for as many as needed.
        logged: whether the service's log keeps the values of a feature.
    """

    name: str
    type: LogicalType
    role: Role = "feature"
    required: bool = True
    categories: Annotated[tuple[Category, ...], _LIST] | None = None
    bounds: Bounds = Bounds()
    plausible: Bounds = Bounds()
    unit: str = ""
    title: str = ""
    description: str = ""
    decimals: Annotated[int, Field(ge=0, le=15)] | None = None
    examples: Annotated[tuple[Any, ...], _LIST] = ()
    logged: bool = Field(default=True, exclude_if=bool)

    @property
    def is_numeric(self) -> bool:
        """Return whether the model sees the value itself and not the code of a category or of a boolean."""
        return self.type in ("number", "integer") and self.categories is None


class Reading(Part):
    """How the files of a source are read."""

    null_values: tuple[str, ...] = Field(
        default=("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?"), description="Texts that mean a missing value."
    )
    case_sensitive: bool = Field(default=True, description="Whether the case of categories and classes counts.")
    extra_columns: Literal["ignore", "refuse"] = Field(
        default="ignore",
        description="For columns that the contract doesn't have: `ignore` them, or `refuse` the source.",
    )
    separator: Literal[",", ";", "\t", "|"] | None = Field(
        default=None,
        description="Separator of a text file: `,`, `;`, a tab or a bar; without it the name of the file decides.",
    )
    decimal_mark: Literal[".", ","] = Field(default=".", description="Decimal mark of a text file: `.` or `,`.")


class DataContract(Part):
    """A table, and the model that is trained on it.

    Attributes:
        name: first part of the names of its tables (`<name>_raw`) and of its DAGs (`<name>_training`).
    """

    name: str
    title: str = ""
    description: str = ""
    columns: tuple[Column, ...]
    reading: Reading = Reading()
    training: Training
    monitoring: Monitoring = Monitoring()

    @property
    def features(self) -> tuple[Column, ...]:
        """Return the columns that the model sees, in its order."""
        return tuple(column for column in self.columns if column.role == "feature")

    @property
    def target(self) -> Column:
        """Return the column that the model predicts."""
        return next(column for column in self.columns if column.role == "target")

    @property
    def others(self) -> tuple[Column, ...]:
        """Return the columns that are kept and that the model neither sees nor predicts."""
        return tuple(column for column in self.columns if column.role not in ("feature", "target"))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Return the names of the features, in the order of the model's columns."""
        return tuple(column.name for column in self.features)

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes, in the order of the labels."""
        return class_names(self.target)

    @property
    def dag_id(self) -> str:
        """Return the name of the DAG that trains on the table."""
        return dag_id_of(self.name)

    @property
    def label_column(self) -> str:
        """Return the name of the column with the label in the processed table."""
        return free_name("label", {column.name for column in self.columns})

    @property
    def answer_key(self) -> str:
        """Return the key of an answer of the service that names the classes: the target's name, if it is free."""
        return name_of_answers(self.target)

    def table(self, kind: Literal["raw", "processed", "rejected", "scored"]) -> str:
        """Return the name of a table."""
        return f"{self.name}_{kind}"


def name_of_answers(target: Column) -> str:
    """Return the key of an answer of the service that names the classes: the target's name, if it is free."""
    of_classes = {f"probability_{name}" for name in class_names(target)}  # columns of a table of answers
    return target.name if target.name not in _ANSWER | of_classes else "class"


def dag_id_of(contract: str, purpose: Purpose = "training") -> str:
    """Return the name of a DAG of a contract, by the contract's name."""
    return f"{contract}_{purpose}"


def class_names(target: Column) -> tuple[str, ...]:
    """Return the names of the classes of a target, in the order of the labels."""
    if target.type == "boolean":
        return ("false", "true")
    return tuple(str(value) for value in target.categories or ())


def free_name(name: str, taken: set[str]) -> str:
    """Return `name`, with as many underscores at its end as make it differ from those taken."""
    while name in taken:
        name += "_"
    return name

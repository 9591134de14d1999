"""The data contract of a table: its columns, how its files are read, and the model that is trained on it.

`contract.odcs` reads it from a file, and docs/reference/contract-file.md describes that file.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

LogicalType = Literal["number", "integer", "boolean", "string", "date", "timestamp"]
Role = Literal["feature", "target", "id", "time", "ignored"]
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


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Bounds(_Part):
    """Limits of a number; None for no limit."""

    minimum: FiniteFloat | None = None
    maximum: FiniteFloat | None = None
    exclusive_minimum: FiniteFloat | None = None
    exclusive_maximum: FiniteFloat | None = None

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        low = [each for each in (self.minimum, self.exclusive_minimum) if each is not None]
        high = [each for each in (self.maximum, self.exclusive_maximum) if each is not None]
        if low and high and max(low) > min(high):
            raise ValueError(f"the minimum {max(low):g} is above the maximum {min(high):g}")
        return self


class Column(_Part):
    """A column of the table.

    Attributes:
        required: whether a row needs a value to be used; a feature that isn't required may be missing in a prediction.
        categories: all values that the column may have, in the order of their codes; None for any value.
        bounds: limits of the values, which hold in the data and in predictions.
        plausible: limits of the values that a model may learn from. A row outside is rejected before training; in a
            prediction such a value is answered, with a warning if it is outside of the range seen in training.
        title: name for people to read; empty for one made from `name`.
        decimals: digits after the point, to show and to enter; None for as many as needed.
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

    @property
    def is_numeric(self) -> bool:
        """Return whether the model sees the value itself and not the code of a category or of a boolean."""
        return self.type in ("number", "integer") and self.categories is None


class Reading(_Part):
    """How the files of a source are read.

    Attributes:
        null_values: texts that mean a missing value.
        case_sensitive: whether the case of categories and classes counts.
        extra_columns: what happens to a source with columns that the contract doesn't have.
        separator, decimal_mark: of text files; None to take the separator from the file's name.
    """

    null_values: tuple[str, ...] = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?")
    case_sensitive: bool = True
    extra_columns: Literal["ignore", "refuse"] = "ignore"
    separator: Literal[",", ";", "\t", "|"] | None = None
    decimal_mark: Literal[".", ","] = "."


class Training(_Part):
    """The model that is trained on the table, and the rules for its promotion.

    Attributes:
        registered_model, experiment: names in MLflow.
        schedule: cron expression or preset of Airflow; empty for only by hand.
        source: default source of a run: `palmerpenguins`, a path, an s3:// address; empty for none.
        metric: the metric of the cross-validation that the best candidate is chosen by.
        estimator: `auto` chooses by the number of rows.
        grid: values to try for each hyperparameter; None for the estimator's own.
        folds: of the cross-validation.
        holdout_share: share of the rows that versions are judged on (0 to 1).
        max_rejected_share: share of the rows that may be rejected (0 to 1).
        min_accuracy, max_p_value, max_recall_drop: thresholds of the gate.
        schema_change: a version whose contract isn't the champion's is refused, or a person is asked.
    """

    registered_model: str
    experiment: str
    schedule: str = ""
    source: str = ""
    metric: Literal["accuracy", "f1_macro", "log_loss"] = "accuracy"
    estimator: str = "auto"
    grid: Mapping[str, tuple[Any, ...]] | None = None
    folds: Annotated[int, Field(ge=2, le=50)] = 5
    holdout_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    max_rejected_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    min_accuracy: Annotated[float, Field(ge=0, le=1)]
    max_p_value: Annotated[float, Field(gt=0, le=0.5)] = 0.5
    max_recall_drop: Annotated[float, Field(ge=0, le=1)] = 0.1
    schema_change: Literal["ask", "refuse"] = "ask"


class DataContract(_Part):
    """A table, and the model that is trained on it.

    Attributes:
        name: first part of the names of its tables (`<name>_raw`) and of its DAG (`<name>_training`).
    """

    name: str
    title: str = ""
    description: str = ""
    columns: tuple[Column, ...]
    reading: Reading = Reading()
    training: Training

    @cached_property
    def features(self) -> tuple[Column, ...]:
        """Return the columns that the model sees, in its order."""
        return tuple(column for column in self.columns if column.role == "feature")

    @cached_property
    def target(self) -> Column:
        """Return the column that the model predicts."""
        return next(column for column in self.columns if column.role == "target")

    @cached_property
    def others(self) -> tuple[Column, ...]:
        """Return the columns that are kept and that the model neither sees nor predicts."""
        return tuple(column for column in self.columns if column.role not in ("feature", "target"))

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """Return the names of the features, in the order of the model's columns."""
        return tuple(column.name for column in self.features)

    @cached_property
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

    def table(self, kind: Literal["raw", "processed", "rejected"]) -> str:
        """Return the name of a table."""
        return f"{self.name}_{kind}"


def name_of_answers(target: Column) -> str:
    """Return the key of an answer of the service that names the classes: the target's name, if it is free."""
    return target.name if target.name not in _ANSWER else "class"


def dag_id_of(contract: str) -> str:
    """Return the name of the DAG of a contract, by the contract's name."""
    return f"{contract}_training"


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

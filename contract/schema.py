"""The data contract of a table: its columns, how its files are read, and the model that is trained on it.

`contract.odcs` reads it from a file, and docs/reference/contract-file.md describes that file.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from math import inf, nextafter
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator, model_validator
from pydantic.alias_generators import to_camel

LogicalType = Literal["number", "integer", "boolean", "string", "date", "timestamp"]
Role = Literal["feature", "target", "id", "time", "ignored"]
Purpose = Literal["training", "scoring", "monitoring"]
"""Purpose of a DAG."""

Category = str | int
"""A value of a column with an enum."""
Scalar = str | int | FiniteFloat | bool
Estimator = Literal["auto", "random_forest", "gradient_boosting", "logistic_regression", "hist_gradient_boosting"]

_LIST: Final = Field(strict=False)  # of a tuple, which a file can only give as a list

MAX_NAME_BYTES: Final = 63
"""PostgreSQL cuts longer identifiers off (NAMEDATALEN - 1)."""

SOURCE_ROW: Final = "source_row"
"""Column of each table with the number of the row in the source, from 1."""

_UNITS: Final = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
_SHORTEST_WINDOW: Final = timedelta(seconds=10)

Duration = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4} ?(s|min|h|d)$")]
"""A time such as `20s`, `15min`, `1h` or `7d`."""

_ANSWER: Final = frozenset(
    {"prediction", "prediction_id", "probabilities", "model_version", "warnings", "outside_training_range"}
)
"""Keys of an answer of the service that don't depend on the contract."""


class Part(BaseModel):
    """A part of a contract. Its file has the same fields in camel case, as the standard has them."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )


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


class Training(Part):
    """The model that is trained on the table, and the rules for its promotion."""

    registered_model: str = Field(
        pattern=r"^[A-Za-z0-9_]([A-Za-z0-9_. -]{0,253}[A-Za-z0-9_.-])?$",
        description="Registered model in MLflow, of no other contract (`PENGUINS_MODEL_NAME`).",
    )
    experiment: str = Field(
        pattern=r"^[A-Za-z0-9_/][A-Za-z0-9_./ -]{0,199}$",
        description="Experiment in MLflow, of no other contract (`PENGUINS_EXPERIMENT`).",
    )
    schedule: str = Field(
        default="",
        max_length=300,  # Airflow keeps 1,000 of its description
        description="Cron expression or preset of Airflow; empty for only by hand (`PENGUINS_SCHEDULE`).",
    )
    source: str = Field(
        default="",
        description="Default source of a run: `palmerpenguins`, a path, an `s3://` address, or `table:name`; empty for "
        "none (`PENGUINS_DATA_SOURCE`).",
    )
    metric: Literal["accuracy", "f1_macro", "log_loss"] = Field(
        default="accuracy",
        description="Metric that the best candidate is chosen by: `accuracy`, `f1_macro` or `log_loss`.",
    )
    estimator: Estimator = Field(
        default="auto",
        description="Kind of the model; `auto` chooses by the number of rows.",
    )
    grid: Mapping[str, Annotated[tuple[Scalar | None, ...], Field(min_length=1)]] | None = Field(
        default=None, description="Values to try for each hyperparameter; without it the estimator's own."
    )
    folds: int = Field(default=5, ge=2, le=50, description="Folds of the cross-validation, 2 to 50.")
    holdout_share: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the rows that versions are judged on, above 0 and below 1."
    )
    max_rejected_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Share of the rows that may be rejected (0 to 1) (`PENGUINS_MAX_REJECTED_SHARE`).",
    )
    min_accuracy: float = Field(
        ge=0,
        le=1,
        description="Accuracy on the hold-out that a version needs to be promoted at all (0 to 1) "
        "(`PENGUINS_MIN_ACCURACY`).",
    )
    max_p_value: float = Field(
        default=0.5,
        gt=0,
        le=0.5,
        description="Largest p-value, of the exact McNemar test against Production, that promotes (above 0, to 0.5) "
        "(`PENGUINS_MAX_P_VALUE`).",
    )
    max_recall_drop: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="How much of any class's recall a promotion may cost, 0 to 1 (`PENGUINS_MAX_RECALL_DROP`).",
    )
    schema_change: Literal["ask", "refuse"] = Field(
        default="ask",
        description="For a version whose contract isn't the champion's: `ask` a person, or `refuse` it.",
    )
    shadow_predictions: int = Field(
        default=0,
        ge=0,
        description="Predictions beside Production that a version must have given in the shadow before it is promoted; "
        "0 for none (`PENGUINS_SHADOW_PREDICTIONS`).",
    )
    shadow_days: float = Field(
        default=14,
        gt=0,
        le=3650,
        description="Days after which a version leaves the shadow without a promotion (`PENGUINS_SHADOW_DAYS`).",
    )
    log_fraction: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the requests whose predictions the service logs, 0 for none to 1 for all.",
    )


class Monitoring(Part):
    """How the model is watched at work, and for which reasons it is trained again."""

    window: Duration = Field(
        default="1h",
        description="Time whose predictions are judged together, such as `20s`, `15min`, `1h` or `1d` "
        "(`PENGUINS_MONITORING_WINDOW`).",
    )
    accuracy_floor: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Accuracy, by the truth, below which there is an alarm (above 0, below 1); without it none "
        "(`PENGUINS_ACCURACY_FLOOR`).",
    )
    new_truth: int | None = Field(
        default=None,
        ge=1,
        description="Number of true classes since the last training from which on there is an alarm; without it none "
        "(`PENGUINS_NEW_TRUTH`).",
    )
    cooldown: Duration = Field(
        default="1d",
        description="Time after an alarm in which no other one of its kind is raised, and after a training for an "
        "alarm in which no alarm starts another one (`PENGUINS_COOLDOWN`).",
    )
    retrain: bool = Field(
        default=True,
        description="Whether an alarm starts a training, whose version the gate judges as any other "
        "(`PENGUINS_RETRAIN`).",
    )
    use_production_rows: bool = Field(
        default=False,
        description="Whether predictions whose true class is known join the training rows "
        "(`PENGUINS_USE_PRODUCTION_ROWS`).",
    )

    @property
    def window_length(self) -> timedelta:
        """Return the length of a window."""
        return length_of(self.window)

    @property
    def cooldown_length(self) -> timedelta:
        """Return the length of the cooldown."""
        return length_of(self.cooldown)

    @field_validator("window")
    @classmethod
    def _check_window(cls, window: str) -> str:
        if length_of(window) < _SHORTEST_WINDOW:
            raise ValueError(f"is shorter than {_SHORTEST_WINDOW.seconds} s, the shortest window")
        return window


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


def length_of(duration: Duration) -> timedelta:
    """Return a duration as a number of seconds."""
    number, unit = re.fullmatch(r"([0-9]+) ?([a-z]+)", duration).groups()  # type: ignore[union-attr]
    return timedelta(**{_UNITS[unit]: int(number)})

"""Responses of `/model…`."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.manifest import Value
from contract.schema import Category, LogicalType
from serving.inference.model import Origin
from serving.registry.refusals import Code
from serving.reload.events import Outcome
from serving.reload.watcher import MAX_HISTORY


class Limits(BaseModel):
    """Limits of a number; null for no limit."""

    model_config = ConfigDict(from_attributes=True)

    minimum: float | None
    maximum: float | None
    exclusive_minimum: float | None
    exclusive_maximum: float | None


class Feature(BaseModel):
    """A column of the model's input, and its range in the training data."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    unit: str
    min: float | None = Field(description="Least number in training; null for other values than numbers.")
    max: float | None = Field(description="Greatest number in training.")
    type: LogicalType
    required: bool = Field(description="Whether a value must be given; otherwise it may be missing.")
    categories: tuple[Category, ...] | None = Field(description="The allowed values; null for any.")
    bounds: Limits = Field(description="Limits of the allowed numbers.")
    title: str
    description: str
    decimals: int | None = Field(description="Digits after the point, to show and to enter; null for any.")


class Named(BaseModel):
    """An answer in which the key that the model's answers have for the names of the classes has them, too."""

    model_config = ConfigDict(extra="allow")

    classes: list[str] = Field(description="Output, in the order of the labels.")
    answer_key: str = Field(description="Key of an answer that has the names of the classes.", examples=["species"])


class Served(Named):
    """The version that serves."""

    version: str = Field(examples=["3"])
    engine: str = Field(description="Runtime that computes the predictions.", examples=["onnxruntime"])
    origin: Origin = Field(description="Place that the version was loaded from.")
    loaded_at: datetime
    signed_by: str | None = Field(
        description="First digits of the public key that has signed the version; null for a copy on disk from before"
        " versions were signed.",
        examples=["d75a980182b10ab7"],
    )
    run_id: str = Field(description="MLflow run that trained the version.")
    features: list[Feature] = Field(description="Input, with the ranges seen in training.")
    row_name: str = Field(description="Word for a row.", examples=["penguin"])
    metrics: dict[str, float] = Field(
        description="Judged on the hold-out and in cross-validation.", examples=[{"holdout_accuracy": 0.99}]
    )
    lineage: dict[str, str] = Field(description="The version's other tags.", examples=[{"dag_run_id": "…"}])


class RefusedVersion(BaseModel):
    """A version that is in Production, or in its shadow, and isn't loaded."""

    version: str
    code: Code
    message: str
    at: datetime


class Shadowing(BaseModel):
    """A version that answers the same rows in the shadow; its answers are only logged."""

    version: str
    engine: str
    signed_by: str | None
    loaded_at: datetime


class LastPoll(BaseModel):
    """The last poll of the registry."""

    model_config = ConfigDict(from_attributes=True)

    outcome: Outcome
    detail: str
    at: datetime


class ServingPeriod(BaseModel):
    """A version, and the time for which it served."""

    model_config = ConfigDict(from_attributes=True)

    version: str = Field(examples=["3"])
    engine: str = Field(description="Runtime that computed the predictions.", examples=["onnxruntime"])
    origin: Origin = Field(description="Place that the version was loaded from.")
    since: datetime
    until: datetime | None = Field(description="Null for the one that serves.")


class History(BaseModel):
    """The versions that one process has served since its start."""

    process: int = Field(description="ID of the process that answers; each worker answers for itself.")
    served: list[ServingPeriod] = Field(description=f"The latest {MAX_HISTORY}, the latest one first.")


class DrawnPoints(Named):
    """Rows of known classes, to draw."""

    model_version: str = Field(examples=["3"])
    features: list[str] = Field(description="Columns of `inputs`.")
    inputs: list[list[Value]] = Field(
        description="Rows as the model sees them: codes of categories and booleans; null for a missing number."
    )
    labels: list[int] = Field(description="Index into `classes`, one for each row.")


class Log(BaseModel):
    """The prediction log, of all processes and models."""

    model_config = ConfigDict(from_attributes=True)

    recorded: int = Field(description="Predictions to log: written, dropped, lost, or about to be written.")
    written: int = Field(description="Predictions written to the spool.")
    shipped: int = Field(description="Predictions that the shipper has brought into the database.")
    dropped: dict[str, int] = Field(description="Predictions not logged because `buffer`, `spool` or `disk` was full.")
    lost: int = Field(description="Predictions that a killed process hadn't written.")
    damaged: int = Field(description="Segments that the shipper has set aside.")
    spool_bytes: int = Field(description="Size of the spool.")
    lag_seconds: float = Field(description="Age of the oldest segment that waits for the shipper.")


class Status(BaseModel):
    """The version that serves, and the state of the registry."""

    status: Literal["serving", "waiting"]
    reason: str | None = Field(description="Reason why there is no model to serve.")
    registered_model: str
    alias: str
    stage: str
    model: Served | None
    refused: RefusedVersion | None
    shadow: Shadowing | None = Field(
        default=None,
        description="The version in the shadow; absent without one.",
        exclude_if=lambda found: found is None,
    )
    shadow_refused: RefusedVersion | None = Field(
        default=None,
        description="The version that must not answer in the shadow; absent without one.",
        exclude_if=lambda found: found is None,
    )
    last_poll: LastPoll | None
    registry_answered_at: datetime | None = Field(description="Time of the registry's last answer.")
    cache_error: str | None = Field(description="Error of the copies on disk.")
    log: Log | None = Field(
        default=None, description="The prediction log; absent without one.", exclude_if=lambda log: log is None
    )

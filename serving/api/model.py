"""`/model…`: the version that serves, its origin, and the versions before it."""

import os
import time
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from contract.digests import DIGESTS
from contract.manifest import Value
from contract.signatures import SIGNATURE
from serving.api.responses import NO_KEY, NOT_READY, json_response, not_ready, settings_of, watcher_of
from serving.inference.model import LoadedModel, Origin
from serving.registry.refusals import Code
from serving.reload.events import Outcome
from serving.reload.watcher import MAX_HISTORY, Watcher

METRIC_PREFIXES = ("holdout_", "cv_")

router = APIRouter(tags=["status"])


class Feature(BaseModel):
    """A column of the model's input, and its range in the training data."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    unit: str
    min: float | None
    max: float | None


class Served(BaseModel):
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
    species: list[str] = Field(description="Output, in the order of the labels.")
    metrics: dict[str, float] = Field(
        description="Judged on the hold-out and in cross-validation.", examples=[{"holdout_accuracy": 0.99}]
    )
    lineage: dict[str, str] = Field(description="The version's other tags.", examples=[{"dag_run_id": "…"}])


class RefusedVersion(BaseModel):
    """A version that is in Production and isn't served."""

    version: str
    code: Code
    message: str
    at: datetime


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


class DrawnPoints(BaseModel):
    """Penguins of known species, to draw."""

    model_version: str = Field(examples=["3"])
    features: list[str] = Field(description="Columns of `inputs`.")
    species: list[str] = Field(description="Name of each label.")
    inputs: list[list[Value]] = Field(description="Measurements, a row for each penguin.")
    labels: list[int] = Field(description="Index into `species`, one for each penguin.")


class Status(BaseModel):
    """The version that serves, and the state of the registry."""

    status: Literal["serving", "waiting"]
    reason: str | None = Field(description="Reason why there is no model to serve.")
    registered_model: str
    alias: str
    stage: str
    model: Served | None
    refused: RefusedVersion | None
    last_poll: LastPoll | None
    registry_answered_at: datetime | None = Field(description="Time of the registry's last answer.")
    cache_error: str | None = Field(description="Error of the copies on disk.")


@router.get("/model", summary="Model", responses={200: {"model": Status}, **NO_KEY})
async def model(request: Request) -> Response:
    """Return version, contract and lineage of the model, and the outcome of the last poll of the registry."""
    watcher, settings = watcher_of(request), settings_of(request)
    status = Status(
        status="serving" if watcher.model else "waiting",
        reason=None if watcher.model else watcher.unready_reason[1],
        registered_model=settings.model_name,
        alias=settings.alias,
        stage=settings.stage,
        model=_served(watcher.model) if watcher.model else None,
        refused=_refused(watcher),
        last_poll=LastPoll.model_validate(watcher.poll) if watcher.poll else None,
        registry_answered_at=_answered_at(watcher),
        cache_error=watcher.cache_error,
    )
    return json_response(status)


@router.get("/model/history", summary="Serving history", responses={200: {"model": History}, **NO_KEY})
async def history(request: Request) -> Response:
    """List the versions that have served since the start, with the times from and to."""
    served = [ServingPeriod.model_validate(period) for period in watcher_of(request).history][::-1]
    return json_response(History(process=os.getpid(), served=served))


@router.get("/model/points", summary="Training data", responses={200: {"model": DrawnPoints}, **NO_KEY, **NOT_READY})
async def points(request: Request) -> Response:
    """Return penguins of known species from the version's artifacts: training data, or recorded examples."""
    watcher = watcher_of(request)
    if (model := watcher.model) is None:
        return not_ready(watcher, settings_of(request))
    inputs, labels = (model.points.inputs, model.points.labels) if model.points else ([], [])
    return json_response(
        DrawnPoints(
            model_version=model.version,
            features=[feature.name for feature in model.contract.features],
            species=model.contract.species,
            inputs=inputs,
            labels=labels,
        )
    )


def _answered_at(watcher: Watcher) -> datetime | None:
    if watcher.answered_at is None:
        return None
    # from its age: the system's clock may have been set since then
    return datetime.now(UTC) - timedelta(seconds=time.monotonic() - watcher.answered_at)


def _served(model: LoadedModel) -> Served:
    version = model.release.version
    tags = {name: value for name, value in version.tags.items() if name not in (DIGESTS, SIGNATURE)}
    metrics = {name: float(value) for name, value in tags.items() if _is_metric(name, value)}
    return Served(
        version=version.version,
        engine=model.engine.name,
        origin=model.origin,
        loaded_at=model.loaded_at,
        signed_by=model.release.signed_by,
        run_id=version.run_id,
        features=[Feature.model_validate(feature) for feature in model.contract.features],
        species=model.contract.species,
        metrics=metrics,
        lineage={name: value for name, value in tags.items() if name not in metrics},
    )


def _refused(watcher: Watcher) -> RefusedVersion | None:
    refusal = watcher.refusal
    if refusal is None:
        return None
    error = refusal.error
    return RefusedVersion(version=refusal.version.version, code=error.code, message=error.message, at=refusal.at)


def _is_metric(name: str, value: str) -> bool:
    try:
        return name.startswith(METRIC_PREFIXES) and isfinite(float(value))
    except ValueError:
        return False

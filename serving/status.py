"""`/health/live`, `/health/ready` and `/model`: is it well, and what does it serve."""

from datetime import datetime
from math import isfinite
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from serving.contract import Feature
from serving.http import NOT_READY, json_response, not_ready, settings_of, watcher_of
from serving.model import LoadedModel, Origin
from serving.refusals import Code
from serving.watcher import Outcome, Watcher

METRIC_PREFIXES = ("holdout_", "cv_")

router = APIRouter(tags=["status"])


class Live(BaseModel):
    """The process runs."""

    status: Literal["live"] = "live"


class Ready(BaseModel):
    """There is a model to serve."""

    status: Literal["ready"] = "ready"
    model_version: str = Field(examples=["3"])


class Served(BaseModel):
    """The version that serves."""

    version: str = Field(examples=["3"])
    engine: str = Field(description="What computes the predictions.", examples=["onnxruntime"])
    origin: Origin = Field(description="Where it was loaded from.")
    loaded_at: datetime
    run_id: str = Field(description="MLflow run that made it.")
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
    """The last look at the registry."""

    model_config = ConfigDict(from_attributes=True)

    outcome: Outcome
    detail: str
    at: datetime


class Status(BaseModel):
    """What the service serves, and what it knows about the registry."""

    status: Literal["serving", "waiting"]
    reason: str | None = Field(description="Why there is no model to serve.")
    registered_model: str
    alias: str
    stage: str
    model: Served | None
    refused: RefusedVersion | None
    last_poll: LastPoll | None
    cache_error: str | None = Field(description="What is wrong with the copies on disk.")


@router.get("/health/live", summary="Does it run?")
async def live() -> Live:
    """Answer as long as the process can; says nothing about the model."""
    return Live()


@router.get("/health/ready", summary="Can it predict?", responses={200: {"model": Ready}, **NOT_READY})
async def ready(request: Request) -> Response:
    """Answer 200 with the version once there is a model to serve, else 503 with the reason."""
    model = watcher_of(request).model
    return not_ready(request) if model is None else json_response(Ready(model_version=model.version))


@router.get("/model", summary="What does it serve?")
async def model(request: Request) -> Status:
    """Tell version, contract and lineage of the model, and how the last look at the registry went."""
    watcher, settings = watcher_of(request), settings_of(request)
    return Status(
        status="serving" if watcher.model else "waiting",
        reason=None if watcher.model else watcher.why_empty[1],
        registered_model=settings.model_name,
        alias=settings.alias,
        stage=settings.stage,
        model=_served(watcher.model) if watcher.model else None,
        refused=_refused(watcher),
        last_poll=LastPoll.model_validate(watcher.poll) if watcher.poll else None,
        cache_error=watcher.cache_error,
    )


def _served(model: LoadedModel) -> Served:
    version = model.release.version
    tags = {name: value for name, value in version.tags.items() if name != "digests"}
    metrics = {name: float(value) for name, value in tags.items() if _is_metric(name, value)}
    return Served(
        version=version.version,
        engine=model.engine.name,
        origin=model.origin,
        loaded_at=model.loaded_at,
        run_id=version.run_id,
        features=model.contract.features,
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

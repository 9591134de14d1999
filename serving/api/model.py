"""`/model…` and `/models/{model}…`: the version that serves, its origin, and the versions before it."""

import os
import time
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from contract.digests import DIGESTS
from contract.manifest import Contract
from contract.signatures import SIGNATURE
from serving.api.model_responses import (
    DrawnPoints,
    Feature,
    History,
    LastPoll,
    Log,
    Named,
    RefusedVersion,
    Served,
    ServingPeriod,
    Shadowing,
    Status,
)
from serving.api.predict_docs import MODEL
from serving.api.responses import NO_KEY, NO_MODEL, NOT_READY, json_response, log_of, not_ready, settings_of, watcher_of
from serving.inference.model import LoadedModel
from serving.log.state import state_of
from serving.reload.events import Refusal
from serving.reload.watcher import Watcher

METRIC_PREFIXES = ("holdout_", "cv_")

WITH_MODEL = {"parameters": [MODEL]}

router = APIRouter(tags=["status"])


@router.get(
    "/models/{model}",
    summary="One model",
    name="model_of",
    responses={200: {"model": Status}, **NO_KEY, **NO_MODEL},
    openapi_extra=WITH_MODEL,
)
@router.get("/model", summary="Model", responses={200: {"model": Status}, **NO_KEY})
async def model(request: Request) -> Response:
    """Return version, contract and lineage of the model, and the outcome of the last poll of the registry."""
    watcher, settings = watcher_of(request), settings_of(request)
    log = None if "model" in request.path_params else log_of(request)  # it is that of all models
    status = Status(
        status="serving" if watcher.model else "waiting",
        reason=None if watcher.model else watcher.unready_reason[1],
        registered_model=watcher.name,
        alias=settings.alias,
        stage=settings.stage,
        model=_served(watcher.model) if watcher.model else None,
        refused=_refused(watcher.refusal),
        shadow=_shadow(watcher.model.shadow) if watcher.model and watcher.model.shadow else None,
        shadow_refused=_refused(watcher.shadow.refusal),
        last_poll=LastPoll.model_validate(watcher.poll) if watcher.poll else None,
        registry_answered_at=_answered_at(watcher),
        cache_error=watcher.cache_error,
        log=Log.model_validate(await run_in_threadpool(state_of, log)) if log else None,
    )
    return json_response(status)


@router.get(
    "/models/{model}/history",
    summary="Serving history of a model",
    name="history_of",
    responses={200: {"model": History}, **NO_KEY, **NO_MODEL},
    openapi_extra=WITH_MODEL,
)
@router.get("/model/history", summary="Serving history", responses={200: {"model": History}, **NO_KEY})
async def history(request: Request) -> Response:
    """List the versions that have served since the start, with the times from and to."""
    served = [ServingPeriod.model_validate(period) for period in watcher_of(request).history][::-1]
    return json_response(History(process=os.getpid(), served=served))


@router.get(
    "/models/{model}/points",
    summary="Training data of a model",
    name="points_of",
    responses={200: {"model": DrawnPoints}, **NO_KEY, **NO_MODEL, **NOT_READY},
    openapi_extra=WITH_MODEL,
)
@router.get("/model/points", summary="Training data", responses={200: {"model": DrawnPoints}, **NO_KEY, **NOT_READY})
async def points(request: Request) -> Response:
    """Return rows of known classes from the version's artifacts: training data, or recorded examples."""
    watcher = watcher_of(request)
    if (model := watcher.model) is None:
        return not_ready(watcher, settings_of(request))
    inputs, labels = (model.points.inputs, model.points.labels) if model.points else ([], [])
    return json_response(
        DrawnPoints(
            model_version=model.version,
            features=[feature.name for feature in model.contract.features],
            **_names(model.contract, DrawnPoints),
            inputs=inputs,
            labels=labels,
        )
    )


def _names(contract: Contract, answer: type[Named]) -> dict[str, Any]:
    """Return the names of the classes, also under their key where no field of the answer has that name."""
    classes, key = list(contract.classes), contract.answer_key
    named = {} if key in answer.model_fields else {key: classes}
    return {"classes": classes, "answer_key": key, **named}


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
        **_names(model.contract, Served),
        row_name=model.json.fields.noun,
        metrics=metrics,
        lineage={name: value for name, value in tags.items() if name not in metrics},
    )


def _shadow(model: LoadedModel) -> Shadowing:
    return Shadowing(
        version=model.version,
        engine=model.engine.name,
        signed_by=model.release.signed_by,
        loaded_at=model.loaded_at,
    )


def _refused(refusal: Refusal | None) -> RefusedVersion | None:
    if refusal is None:
        return None
    error = refusal.error
    return RefusedVersion(version=refusal.version.version, code=error.code, message=error.message, at=refusal.at)


def _is_metric(name: str, value: str) -> bool:
    try:
        return name.startswith(METRIC_PREFIXES) and isfinite(float(value))
    except ValueError:
        return False

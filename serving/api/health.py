"""`/health/…`: liveness and readiness."""

import time
from math import ceil
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from serving.api.responses import NOT_READY, json_response, settings_of, unavailable, watcher_of
from serving.reload.watcher import Watcher
from serving.settings import Settings

router = APIRouter(tags=["status"])


class Live(BaseModel):
    """The process runs."""

    status: Literal["live"] = "live"


class Ready(BaseModel):
    """There is a model to serve."""

    status: Literal["ready"] = "ready"
    model_version: str = Field(examples=["3"])


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", summary="Liveness", responses={200: {"model": Live}})
async def live() -> Response:
    """Answer 200 as long as the process runs, whether or not there is a model."""
    return json_response(Live())


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", summary="Readiness", responses={200: {"model": Ready}, **NOT_READY})
async def ready(request: Request) -> Response:
    """Answer 200 with the version that can predict, else 503 with the code of the reason.

    Settings decide whether a refused version in Production, or a registry that is silent for long, is a reason. The
    details are not for everybody: `/model`, which can require a key, has them.
    """
    watcher, settings, path = watcher_of(request), settings_of(request), request.scope["path"]
    if (model := watcher.model) is None:
        return _unready(watcher.unready_reason[0], settings, path)
    if reason := _doubt(watcher, settings):
        return _unready(reason, settings, path)
    return json_response(Ready(model_version=model.version))


def _doubt(watcher: Watcher, settings: Settings) -> str | None:
    """Return the code of the reason, if any, for which the settings want no requests although there is a model."""
    if watcher.refusal and not settings.ready_while_refused:
        return watcher.refusal.error.code
    heard = watcher.started_at if watcher.answered_at is None else watcher.answered_at
    silence = settings.ready_silence_seconds
    return "registry_silent" if silence is not None and time.monotonic() - heard > silence else None


def _unready(reason: str, settings: Settings, path: str) -> Response:
    return unavailable(reason, "not ready: GET /model and the log say why", ceil(settings.poll_seconds), path)

"""`/health/…`: liveness and readiness."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from serving.api.responses import NOT_READY, json_response, not_ready, settings_of, watcher_of

router = APIRouter(tags=["status"])


class Live(BaseModel):
    """The process runs."""

    status: Literal["live"] = "live"


class Ready(BaseModel):
    """There is a model to serve."""

    status: Literal["ready"] = "ready"
    model_version: str = Field(examples=["3"])


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", summary="Liveness")
async def live() -> Live:
    """Answer 200 as long as the process runs, whether or not there is a model."""
    return Live()


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", summary="Readiness", responses={200: {"model": Ready}, **NOT_READY})
async def ready(request: Request) -> Response:
    """Answer 200 with the version once there is a model to serve, else 503 with the reason."""
    watcher = watcher_of(request)
    if watcher.model is None:
        return not_ready(watcher, settings_of(request))
    return json_response(Ready(model_version=watcher.model.version))

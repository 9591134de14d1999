"""`/health/…`: does it run, and can it predict."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from serving.api.responses import NOT_READY, json_response, not_ready, watcher_of

router = APIRouter(tags=["status"])


class Live(BaseModel):
    """The process runs."""

    status: Literal["live"] = "live"


class Ready(BaseModel):
    """There is a model to serve."""

    status: Literal["ready"] = "ready"
    model_version: str = Field(examples=["3"])


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", summary="Does it run?")
async def live() -> Live:
    """Answer as long as the process can; says nothing about the model."""
    return Live()


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", summary="Can it predict?", responses={200: {"model": Ready}, **NOT_READY})
async def ready(request: Request) -> Response:
    """Answer 200 with the version once there is a model to serve, else 503 with the reason."""
    model = watcher_of(request).model
    return not_ready(request) if model is None else json_response(Ready(model_version=model.version))

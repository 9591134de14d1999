"""`GET /models`: the registered models that are served."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from serving.api.responses import NO_KEY, json_response, models_of
from serving.registry.refusals import Code
from serving.reload.watcher import Watcher

router = APIRouter(tags=["status"])


class ListedModel(BaseModel):
    """A registered model, and the version of it that serves."""

    name: str = Field(examples=["penguins_rf"])
    status: Literal["serving", "waiting"]
    reason: str | None = Field(description="Reason why there is no version to serve.")
    version: str | None = Field(examples=["3"])
    refused: Code | None = Field(description="Reason why the version in Production is refused, if it is.")
    contract: str | None = Field(description="Name of the contract of the version.", examples=["penguins"])


class ListedModels(BaseModel):
    """The registered models that are served."""

    models: list[ListedModel] = Field(description="The first one is that of `/predict` and `/model`.")


@router.get("/models", summary="Models", responses={200: {"model": ListedModels}, **NO_KEY})
async def models(request: Request) -> Response:
    """List the registered models that are served, each with its state."""
    return json_response(ListedModels(models=[_listed(watcher) for watcher in models_of(request)]))


def _listed(watcher: Watcher) -> ListedModel:
    model, refusal = watcher.model, watcher.refusal
    return ListedModel(
        name=watcher.name,
        status="serving" if model else "waiting",
        reason=None if model else watcher.unready_reason[1],
        version=model.version if model else None,
        refused=refusal.error.code if refusal else None,
        contract=model.contract.name if model else None,
    )

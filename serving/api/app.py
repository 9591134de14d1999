"""The FastAPI application."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI

from serving.api import feedback, health, invocations, metrics, model, models, open_inference, page, predict
from serving.api.keys import Keys
from serving.api.middleware import Endpoint, Middleware
from serving.api.openapi import Reference, describe
from serving.api.predict_json import Form, read_json, write_json
from serving.api.responses import SCORING, RequestError, State, request_error
from serving.log.log import PredictionLog
from serving.logs import configure
from serving.registry.client import Registry
from serving.reload.events import ignore
from serving.reload.models import Models
from serving.settings import Settings
from serving.tables.pool import Tables

logger = logging.getLogger(__name__)

ENDPOINTS: dict[str, Endpoint] = {
    "/predict": predict.predict,
    "/models/{model}/predict": predict.predict,
    SCORING: invocations.invocations,
    f"/models/{{model}}{SCORING}": invocations.invocations,
    **dict.fromkeys(open_inference.INFER, open_inference.infer),
}
"""Endpoints that the middleware calls directly, by their routes."""

FORMS = {
    "/predict": Form(read_json, write_json, has_id=True),
    SCORING: Form(invocations.read_scoring, invocations.write_scores, has_id=False),
}
"""Forms of the routes whose small requests in JSON are answered without their endpoint."""

DESCRIPTION = "Answers with the model version that is in Production in MLflow's registry."


def create_app(settings: Settings) -> FastAPI:
    """Build the application; it follows the registry from its start to its shutdown."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        log = PredictionLog(settings, settings.log_dir) if settings.log_dir else None
        if log:
            await asyncio.to_thread(log.start)
        registry = Registry(settings)
        models = Models(settings, registry, log.event if log else ignore)
        await models.start_from_cache()
        tables = Tables(settings)
        tasks = [asyncio.create_task(models.run()), asyncio.create_task(tables.run(models.served))]
        yield {"settings": settings, "models": models, "tables": tables, "log": log}
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await registry.close()
        if log:
            await asyncio.to_thread(log.close)

    app = FastAPI(
        title="Penguins",
        version="1",
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_url=None,  # `page` has it, with the model that serves
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat the host that the client claims
    )
    for part in (predict, invocations, open_inference, feedback, health, model, models, metrics, page):
        app.include_router(part.router)
    app.add_exception_handler(RequestError, request_error)
    page.mount_files(app)
    describe(app)
    app.state.reference = Reference(app)
    return app


def from_environment() -> Middleware:
    """Build the application of a worker, with its middleware."""
    settings = Settings()
    configure(settings.log_level)
    keys = Keys(settings)
    logger.info("keys.%s", "required" if keys.required else "not_required: everybody may ask")
    return Middleware(create_app(settings), settings, keys, ENDPOINTS, FORMS)

"""The FastAPI application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from starlette.responses import RedirectResponse

from serving import predict, status
from serving.cache import Cache
from serving.registry import Registry
from serving.settings import Settings
from serving.watcher import Watcher

DESCRIPTION = "Tells the species of a penguin, with the model version that is in Production in MLflow's registry."


def create_app(settings: Settings) -> FastAPI:
    """Build the application; it follows the registry from its start to its shutdown."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        registry = Registry(settings)
        app.state.settings = settings
        app.state.watcher = watcher = Watcher(settings, registry, Cache(settings))
        await watcher.start_from_cache()
        following = asyncio.create_task(watcher.run())
        yield
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await registry.close()

    app = FastAPI(
        title="Penguins",
        version="1",
        description=DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.include_router(predict.router)
    app.include_router(status.router)
    app.add_api_route("/", _docs, include_in_schema=False)
    return app


async def _docs() -> RedirectResponse:
    return RedirectResponse("/docs")

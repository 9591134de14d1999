"""The page at `/` and the documentation at `/docs`; neither loads anything from another host."""

from importlib.resources import files
from pathlib import Path
from typing import cast

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

from serving.api.openapi import Reference
from serving.api.responses import json_response, models_of

STATIC = Path(__file__).parent / "static"
SWAGGER_UI = Path(str(files("fastapi_offline"))) / "static"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-cache",
}
DOCS_HEADERS = HEADERS | {"Content-Security-Policy": POLICY.replace("img-src 'self'", "img-src 'self' data:")}
"""The images of Swagger UI are in its stylesheet."""

router = APIRouter(include_in_schema=False)


@router.head("/")
@router.get("/")
async def index() -> FileResponse:
    """Return the page."""
    return FileResponse(STATIC / "index.html", headers=HEADERS)


@router.get("/docs")
async def docs() -> FileResponse:
    """Return Swagger UI, with its files from this service."""
    return FileResponse(STATIC / "docs.html", headers=DOCS_HEADERS)


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """Return the OpenAPI document of the models that serve."""
    reference = cast(Reference, request.app.state.reference)
    return json_response(reference.document([watcher.model for watcher in models_of(request) if watcher.model]))


def mount_files(app: FastAPI) -> None:
    """Serve the files that the pages need."""
    app.mount("/static", StaticFiles(directory=STATIC))
    app.mount("/swagger-ui", StaticFiles(directory=SWAGGER_UI))

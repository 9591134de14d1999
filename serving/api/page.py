"""The page at `/` and the documentation at `/docs`; neither loads anything from another host."""

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import FileResponse, HTMLResponse
from starlette.staticfiles import StaticFiles

STATIC = Path(__file__).parent / "static"
SWAGGER_UI = Path(str(files("fastapi_offline"))) / "static"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)

router = APIRouter(include_in_schema=False)


@router.head("/")
@router.get("/")
async def index() -> FileResponse:
    """Return the page."""
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return FileResponse(STATIC / "index.html", headers=headers)


@router.get("/docs")
async def docs() -> HTMLResponse:
    """Return Swagger UI, with its files from this service."""
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title="Penguins: API",
        swagger_js_url="swagger-ui/swagger-ui-bundle.js",
        swagger_css_url="swagger-ui/swagger-ui.css",
        swagger_favicon_url="static/penguin.svg",
        swagger_ui_parameters={"tryItOutEnabled": True},
    )


def mount_files(app: FastAPI) -> None:
    """Serve the files that the pages need."""
    app.mount("/static", StaticFiles(directory=STATIC))
    app.mount("/swagger-ui", StaticFiles(directory=SWAGGER_UI))

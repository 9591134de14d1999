"""The pages' files, which only Airflow may frame, and which run no script but their own."""

from pathlib import Path
from typing import Final

from fastapi.responses import FileResponse

_STATIC: Final = Path(__file__).parent / "static"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'self'"
)
_HEADERS: Final = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}


def page(name: str) -> FileResponse:
    """Return a page, which then requests its data."""
    return FileResponse(_STATIC / f"{name}.html", headers=_HEADERS)

"""Routes of the page about monitoring, and about the disk."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from pydantic import AwareDatetime

from penguins.airflow import database
from penguins.airflow.access import READER, Chosen
from penguins.ui import disk, monitoring
from penguins.ui.files import page

router = APIRouter()


@router.get("/monitoring")
def monitoring_page() -> FileResponse:
    """Return the page about monitoring."""
    return page("monitoring")


@router.get("/api/monitoring", dependencies=[READER])
def show_monitoring(contract: Chosen, hours: Annotated[int, Query(ge=1, le=90 * 24)] = 24) -> monitoring.Monitoring:
    """Return what was judged in the last hours."""
    with database.connect() as connection:
        return monitoring.monitoring(connection, contract, hours)


@router.get("/api/monitoring/window", dependencies=[READER])
def show_window(contract: Chosen, start: AwareDatetime, end: AwareDatetime, version: str) -> monitoring.Details:
    """Return the numbers of one window."""
    with database.connect() as connection:
        return monitoring.window(connection, contract.name, start, end, version)


@router.get("/api/disk", dependencies=[READER])
def show_disk() -> disk.Disk:
    """Return the room on the disk, and what the stack takes of it."""
    with database.connect() as connection:
        return disk.show(connection)

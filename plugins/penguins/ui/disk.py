"""The room on the disk, and what the stack takes of it: for the page, and as gauges for Prometheus."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from psycopg import Connection
from pydantic import BaseModel

from penguins.housekeeping import disk
from penguins.housekeeping.disk import Room
from penguins.monitoring.gauges import Sample, text_of
from penguins.settings import settings

_HELP: Final = {
    "disk_free_bytes": "Free bytes of the file system of the logs of Airflow's tasks.",
    "disk_total_bytes": "Size of that file system.",
    "disk_low": "1 if less of it is free than PENGUINS_DISK_FREE_PERCENT says.",
    "disk_used_bytes": "What a part of the stack takes of the disk, measured every hour.",
}


class Disk(BaseModel):
    """The room now, and the bytes of each part when they were measured last, if they were."""

    free: int
    total: int
    is_low: bool
    wanted_percent: float
    measured_at: datetime | None
    parts: dict[str, int]


def show(connection: Connection[Any]) -> Disk:
    """Look at the room, and read what was measured."""
    room, latest = Room.now(), disk.latest(connection)
    return Disk(
        free=room.free,
        total=room.total,
        is_low=room.is_low,
        wanted_percent=settings().disk_free_percent,
        measured_at=latest.at if latest else None,
        parts=latest.parts if latest else {},
    )


def exposition(connection: Connection[Any]) -> str:
    """Return the gauges in Prometheus' text format."""
    return text_of("penguins", _HELP, _samples(show(connection)))


def _samples(found: Disk) -> Iterator[Sample]:
    yield Sample("disk_free_bytes", {}, float(found.free))
    yield Sample("disk_total_bytes", {}, float(found.total))
    yield Sample("disk_low", {}, float(found.is_low))
    for part, size in found.parts.items():
        yield Sample("disk_used_bytes", {"part": part}, float(size))

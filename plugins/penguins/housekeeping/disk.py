"""The use of the disk: measured every hour, shown on the page, and warned of before it is full."""

import logging
import re
import shutil
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import requests
from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from pydantic import BaseModel

from penguins.housekeeping import files, tracking_server
from penguins.settings import settings

log = logging.getLogger(__name__)

_SIZES: Final = "SELECT name, bytes FROM monitoring.database_sizes() ORDER BY name"
_ADD: Final = "INSERT INTO monitoring.disk (free, total, parts, is_low) VALUES (%s, %s, %s, %s)"
_LATEST: Final = "SELECT at, parts FROM monitoring.disk ORDER BY at DESC LIMIT 1"
# Again after a day, or once it was better in between.
_TOLD: Final = """
    SELECT EXISTS (
        SELECT FROM monitoring.disk AS told WHERE told_at > now() - interval '1 day' AND NOT EXISTS (
            SELECT FROM monitoring.disk WHERE at > told.at AND NOT is_low
        )
    )"""
_NOTE: Final = """
    UPDATE monitoring.disk SET told_at = now() WHERE at = (SELECT max(at) FROM monitoring.disk)"""
_SPOOL: Final = re.compile(rb"^penguins_log_spool_bytes(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE)
_SECONDS: Final = (3, 10)


@dataclass(frozen=True)
class Room:
    """Free bytes of a file system, and all."""

    free: int
    total: int

    @classmethod
    def now(cls) -> "Room":
        """Look at the file system of the logs of Airflow's tasks, which mostly is that of everything."""
        folder = files.task_logs()
        while not folder.exists():
            folder = folder.parent
        found = shutil.disk_usage(folder)
        return cls(found.free, found.free + found.used)  # without what only root may use

    @property
    def is_low(self) -> bool:
        """Tell whether there is less room than PENGUINS_DISK_FREE_PERCENT says."""
        return self.free < self.total * settings().disk_free_percent / 100

    def __str__(self) -> str:
        """Return it as words."""
        return f"{_gigabytes(self.free)} of {_gigabytes(self.total)} are free ({self.free / max(self.total, 1):.0%})"


class Parts(BaseModel):
    """Bytes of each part of the stack, and when they were measured."""

    at: datetime
    parts: dict[str, int]

    def __str__(self) -> str:
        """Return them as words, the largest first."""
        largest = sorted(self.parts.items(), key=lambda part: -part[1])
        return ", ".join(f"{name} {_gigabytes(size)}" for name, size in largest)


def record(connection: Connection[Any]) -> Room:
    """Measure what the stack uses, record it, and return the room that is left."""
    room = Room.now()
    connection.execute(_ADD, [room.free, room.total, Jsonb(_measure(connection)), room.is_low])
    return room


def latest(connection: Connection[Any]) -> Parts | None:
    """Return what was measured last, if anything was."""
    with connection.cursor(row_factory=class_row(Parts)) as cursor:
        return cursor.execute(_LATEST).fetchone()


def is_to_be_told(connection: Connection[Any], room: Room) -> bool:
    """Tell whether people are to be warned: the room is low, and they weren't told of it within a day."""
    (told,) = connection.execute(_TOLD).fetchone() or (False,)
    return room.is_low and not told


def note_told(connection: Connection[Any]) -> None:
    """Note that people were warned."""
    connection.execute(_NOTE)


def _measure(connection: Connection[Any]) -> dict[str, int]:
    parts = {f"database {name}": size for name, size in connection.execute(_SIZES)}
    try:
        parts["models and files in S3"] = tracking_server.survey([], 0).bytes
    except requests.RequestException as error:  # which is no reason to warn nobody
        log.warning("MLflow doesn't say what is in S3: %s", error)
    parts["logs of tasks"] = files.measure(files.task_logs()).bytes
    if (waiting := _spool()) is not None:
        parts["prediction log, waiting"] = waiting
    return parts


def _spool() -> int | None:
    try:
        answer = requests.get(f"{settings().api_url.rstrip('/')}/metrics", timeout=_SECONDS)
    except requests.RequestException as error:
        log.info("the service doesn't say what waits in the prediction log: %s", error)
        return None
    found = _SPOOL.search(answer.content)
    return int(float(found[1])) if found else None


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"

"""Files of a folder: their size, and the deletion of old ones."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from penguins.errors import UserError


@dataclass(frozen=True)
class Files:
    """A number of files, and their bytes."""

    number: int
    bytes: int


def task_logs() -> Path:
    """Return the folder of the logs of Airflow's tasks.

    Raises:
        UserError: this isn't a program of Airflow.
    """
    folder = os.environ.get("AIRFLOW__LOGGING__BASE_LOG_FOLDER")
    home = os.environ.get("AIRFLOW_HOME")
    if folder is None and home is None:
        raise UserError("AIRFLOW_HOME isn't set, so nobody knows where the logs of the tasks are.")
    return Path(folder) if folder else Path(home or "", "logs")


def measure(folder: Path, before: datetime | None = None) -> Files:
    """Return the number and bytes of the files in a folder and its folders, or only of those from before a time."""
    found = [status for _, status in _walk(folder) if before is None or status.st_mtime < before.timestamp()]
    return Files(len(found), sum(status.st_size for status in found))


def prune(folder: Path, before: datetime) -> Files:
    """Delete files from before a time, and folders that are empty then and as old. Links aren't followed."""
    limit, number, size = before.timestamp(), 0, 0
    # Looked at before, because a deletion makes its folder young.
    folders = [path for path, status in _walk(folder, folders=True) if status.st_mtime < limit]
    for path, status in _walk(folder):
        if status.st_mtime < limit:
            with suppress(FileNotFoundError):
                path.unlink()
                number, size = number + 1, size + status.st_size
    for path in sorted(folders, key=lambda each: len(each.parts), reverse=True):
        with suppress(OSError):  # it isn't empty
            path.rmdir()
    return Files(number, size)


def _walk(folder: Path, folders: bool = False) -> Iterator[tuple[Path, os.stat_result]]:
    for at, inner, files in os.walk(folder):
        for name in inner if folders else files:
            path = Path(at, name)
            with suppress(FileNotFoundError):
                yield path, path.lstat()

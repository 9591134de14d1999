"""Logs shown with a failed test: lines written by the programs since its start."""

import time
from contextlib import suppress
from pathlib import Path

from local.logs import tail

LINES = 30

_watched: set[Path] = set()


def watch(path: Path) -> None:
    """Show this log, or every log in this folder, when a test of this process fails."""
    _watched.add(path)


def since(moment: float, *folders: Path) -> list[tuple[str, str]]:
    """Return path and last lines of each log changed after a Unix time, in the watched paths and in `folders`."""
    paths = {path for place in (*_watched, *folders) for path in _logs(place) if _modified(path) >= moment}
    return [(str(path), tail(path, LINES)) for path in sorted(paths)]


def now() -> float:
    """Return the current time in the resolution of file times, a tick before the clock."""
    return time.time() - 0.1


def _modified(path: Path) -> float:
    with suppress(OSError):  # a rotated log, or a folder during its deletion
        return path.stat().st_mtime
    return 0


def _logs(place: Path) -> list[Path]:
    found: list[Path] = []
    with suppress(OSError):
        found = [place] if place.is_file() else [path for path in place.rglob("*.log") if path.is_file()]
    return found

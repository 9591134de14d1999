"""Reading the programs' log files."""

from collections import deque
from pathlib import Path


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log file; empty when there is none yet."""
    if not log.exists():
        return ""
    with log.open(errors="replace") as file:
        return "".join(deque(file, maxlen=lines)).rstrip()

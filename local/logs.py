"""Reading of the programs' log files."""

import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

_POLL = 0.3  # seconds


def tail(log: Path, lines: int = 20) -> str:
    """Return the last lines of a log file, or an empty text if the file doesn't exist yet."""
    if not log.exists():
        return ""
    with log.open(errors="replace") as file:
        return "".join(deque(file, maxlen=lines)).rstrip()


def follow(logs: list[Path]) -> Iterator[str]:
    """Yield new lines of the log files, each with its program's name; never ends."""
    files = {log: _at_end(log) for log in logs}
    while True:
        silent = True
        for log, file in files.items():
            for line in file or ():
                silent = False
                yield f"{log.stem:<22} {line.rstrip()}"
            if _rotated(log, file):
                files[log] = log.open(errors="replace")
        if silent:
            time.sleep(_POLL)


def _at_end(log: Path) -> TextIO | None:
    if not log.exists():
        return None
    file = log.open(errors="replace")
    file.seek(0, os.SEEK_END)
    return file


def _rotated(log: Path, file: TextIO | None) -> bool:
    if not log.exists():
        return False
    return file is None or os.fstat(file.fileno()).st_ino != log.stat().st_ino

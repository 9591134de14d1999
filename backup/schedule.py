"""Make a backup every so many hours, and delete the oldest: `python -m backup.schedule FOLDER HOURS KEEP -- COMMAND …`.

A program of its own with next to nothing in memory; the command that makes the backup ends afterwards.
"""

import logging
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

LOWEST: Final = 19
"""Niceness of a backup: whoever trains or predicts comes first. With 10 it took a tenth of each processor from them."""

TIME: Final = "%Y%m%dT%H%M%SZ"
_NAME: Final = re.compile(r"penguins-([0-9]{8}T[0-9]{6}Z)\.tar\.gz")
_LOOK_SECONDS: Final = 60.0  # also for somebody who sets the clock, or deletes an archive
_AGAIN_SECONDS: Final = 600.0

logger = logging.getLogger(__name__)


def name_at(at: datetime) -> str:
    """Return the name of an archive that is made now."""
    return f"penguins-{at.astimezone(UTC):{TIME}}.tar.gz"


def archives(folder: Path) -> dict[datetime, Path]:
    """Return the archives in a folder by the time at which they were made, the oldest first."""
    found = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if match := _NAME.fullmatch(path.name):
            try:
                found[datetime.strptime(match[1], TIME).replace(tzinfo=UTC)] = path
            except ValueError:
                continue  # no time, so nobody's archive
    return found


def seconds_until_due(folder: Path, hours: float, now: datetime) -> float:
    """Return the seconds until the next backup; none if there is no archive yet."""
    made = [at for at in archives(folder) if at <= now]
    return hours * 3600 - (now - made[-1]).total_seconds() if made else 0.0


def prune(folder: Path, keep: int) -> list[Path]:
    """Delete all archives but the latest, and return their paths."""
    old = list(archives(folder).values())[:-keep]
    for path in old:
        path.unlink(missing_ok=True)
    return old


def run(folder: Path, hours: float, keep: int, command: list[str]) -> None:
    """Make backups until the process is ended."""
    while True:
        wait = seconds_until_due(folder, hours, datetime.now(UTC))
        if wait > 0:
            time.sleep(min(wait, _LOOK_SECONDS))
        elif subprocess.run(command).returncode:
            logger.error("backup.failed again_in=%ds", _AGAIN_SECONDS)
            time.sleep(_AGAIN_SECONDS)
        else:
            for path in prune(folder, keep):
                logger.info("backup.deleted path=%s", path)


def main() -> None:
    """Read the arguments, and work."""
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(message)s")
    folder, hours, keep, _, *command = sys.argv[1:]
    if not re.fullmatch(r"\d+(\.\d+)?", hours) or float(hours) == 0:
        sys.exit(f"PENGUINS_BACKUP_HOURS={hours}: a number of hours above 0 is needed")
    if not re.fullmatch(r"[1-9]\d*", keep):
        sys.exit(f"PENGUINS_BACKUP_KEEP={keep}: a number of archives above 0 is needed")
    if Path(folder).exists() and not os.access(folder, os.W_OK):
        sys.exit(f"{folder} can't be written by the user {os.getuid()}: make it theirs, with chown")
    run(Path(folder), float(hours), int(keep), command)


if __name__ == "__main__":
    main()

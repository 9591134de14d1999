"""The prediction log's segments that haven't reached the database: kept under other names while a backup is made."""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from backup.errors import BackupError
from contract.segments import COUNTERS, DAMAGED, OPEN, PART, READY, SegmentName

_HELD: Final = ".backup"
_ID: Final = "spool.id"
_PLACE: Final = re.compile(rf"({OPEN}|{READY}|{DAMAGED})/[^/\0]{{1,255}}|{COUNTERS}/{re.escape(_ID)}")


@contextmanager
def held(spool: Path) -> Iterator[dict[str, Path]]:
    """Keep what is in the spool now during the block, whatever the shipper deletes; yields paths by their places.

    Segments that are complete are linked, those that are being written are copied as far as they are.
    """
    if not spool.exists():
        yield {}
        return
    folder = spool / _HELD
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupError("another backup of this stack is under way; wait for it") from error
        _empty(folder)  # left by one that was killed
        try:
            yield _hold(spool, folder)
        finally:
            _empty(folder)
            folder.rmdir()
    finally:
        os.close(lock)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def _hold(spool: Path, folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    number = 0
    # In this order, a segment that moves meanwhile is seen twice, and the complete one counts.
    for part in (OPEN, READY, DAMAGED, COUNTERS):
        for path in sorted((spool / part).iterdir()) if (spool / part).is_dir() else ():
            if not _belongs(part, path.name) or path.is_symlink() or not path.is_file():
                continue
            copy = folder / str(number)
            with suppress(FileNotFoundError):  # shipped, or released, since it was listed
                if part in (READY, DAMAGED):
                    copy.hardlink_to(path)
                    found.pop(f"{OPEN}/{path.name}", None)
                else:
                    shutil.copyfile(path, copy)
                found[f"{part}/{path.name}"] = copy
                number += 1
    return found


def _belongs(part: str, name: str) -> bool:
    if part == COUNTERS:
        return name == _ID
    if part == OPEN:  # a segment of one request is worth nothing before it is complete
        return not name.endswith(PART) and SegmentName.parse(name) is not None
    return not name.startswith(".")


def check_place(place: str) -> None:
    """Check that a place is one in a spool. Raises BackupError."""
    if not _PLACE.fullmatch(place) or not _belongs(*place.split("/")):
        raise BackupError(f"{place!r} isn't a place in the prediction log")


def put_back(spool: Path, place: str, file: Path) -> None:
    """Move a file to its place in a spool."""
    check_place(place)
    (spool / place).parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    shutil.move(file, spool / place)  # from another disk, too

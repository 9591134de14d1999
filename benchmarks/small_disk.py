"""A disk of some megabytes, to be full for a while: a tmpfs that only this process and its children see."""

import ctypes
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MEGABYTES: Final = 64
PIECE: Final = bytes(64 * 1024)
PAUSE_SECONDS: Final = 0.05

_CLONE_NEWNS: Final = 0x00020000


def own_mounts() -> str:
    """Give this process mounts of its own, which end with it and its children; return why that can't be, if so.

    Programs that run already don't see what is mounted later.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS):
        return "it needs root, who may mount a small disk"
    done = subprocess.run(["mount", "--make-rprivate", "/"], check=False, capture_output=True, text=True)
    return done.stderr.strip()


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """Mount an empty disk at a folder; afterwards the folder can be deleted, also if its files are still open.

    Raises:
        subprocess.CalledProcessError: that can't be done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={MEGABYTES}m,mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, seconds: float) -> None:
    """Leave no room on the disk of a folder for some seconds, also where others delete files meanwhile."""
    path, deadline = folder / "filler", time.monotonic() + seconds
    try:
        with path.open("ab", buffering=0) as file:
            while time.monotonic() < deadline:
                try:
                    while file.write(PIECE):
                        pass
                except OSError:  # it is full
                    time.sleep(PAUSE_SECONDS)
    finally:
        path.unlink(missing_ok=True)

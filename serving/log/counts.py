"""Counters of the processes of the service, living and dead."""

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from contract.counters import SERVICE, SHIPPER, SHIPPER_FILE, Counters, read_counters
from contract.segments import COUNTERS
from serving.log.spool import Spool

DEAD: Final = "dead.bin"
"""File with the sums of the processes that have ended."""

_PROCESS: Final = re.compile(r"([0-9a-f]{16})\.bin")
_DROPPED: Final = tuple(name for name in SERVICE if name.startswith("dropped_"))


def path_of(spool: Spool, process: str) -> Path:
    """Return the file with the counters of a process."""
    return spool.folder / COUNTERS / f"{process}.bin"


class OwnCounters(Counters):
    """The counters of this process: in memory until the spool can have their file."""

    def __init__(self, spool: Spool) -> None:
        super().__init__(SERVICE)
        self._path = path_of(spool, spool.process)
        self._file: int | None = None

    def attach(self) -> None:
        """Count in a file, whose lock tells others that this process lives, unless that is done.

        Raises:
            OSError: the file can't be written.
        """
        if self._file is not None and self._path.exists():
            return
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.fstat(file).st_nlink:
                raise FileNotFoundError(f"{self._path} was taken for that of a dead process")
            self.move_to(file)
        except OSError:
            os.close(file)
            self._path.unlink(missing_ok=True)
            raise
        if self._file is not None:
            os.close(self._file)
        self._file = file


def missing(counted: Mapping[str, int]) -> int:
    """Return the rows that were recorded and neither written nor counted as dropped or lost."""
    return max(0, counted["recorded"] - counted["written"] - counted["lost"] - sum(map(counted.__getitem__, _DROPPED)))


def totals(spool: Spool, own: Counters) -> Mapping[str, int]:
    """Return the sums over all processes, and the counters of the shipper."""
    folder = spool.folder / COUNTERS
    counted = dict.fromkeys((*SERVICE, *SHIPPER), 0)
    found = [own.all()]
    try:
        with _locked(folder / DEAD, fcntl.LOCK_SH):
            paths = [path for path in folder.iterdir() if path.name == DEAD or _PROCESS.fullmatch(path.name)]
            found += [read_counters(path, SERVICE) for path in paths if path.stem != spool.process]
        found.append(read_counters(folder / SHIPPER_FILE, SHIPPER))
    except OSError:
        pass  # then there are those of this process
    for each in found:
        for name, number in each.items():
            counted[name] += number
    return counted


@contextmanager
def dead_processes(spool: Spool) -> Iterator[list[str]]:
    """Return the processes that have ended without being adopted, and keep others from adopting them meanwhile.

    Raises:
        OSError: the folder can't be read.
    """
    folder, files, dead = spool.folder / COUNTERS, [], []
    try:
        for path in sorted(folder.iterdir()):
            if not _PROCESS.fullmatch(path.name) or path.stem == spool.process:
                continue
            files.append(file := os.open(path, os.O_RDWR | os.O_CLOEXEC))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # it lives
            if os.fstat(file).st_nlink:  # else another one has just adopted it
                dead.append(path.stem)
        yield dead
    finally:
        for file in files:
            os.close(file)


def fold(spool: Spool, process: str) -> int:
    """Add the counters of a dead process to those of the others; return the rows that it has lost.

    Raises:
        OSError: they can't be read or written.
    """
    path = path_of(spool, process)
    with _locked(spool.folder / COUNTERS / DEAD, fcntl.LOCK_EX) as file:
        counted = read_counters(path, SERVICE)
        lost = missing(counted)
        sums = Counters(SERVICE, file)
        for name, number in counted.items():
            sums.add(name, number)
        sums.add("lost", lost)
        path.unlink()
    return lost


@contextmanager
def _locked(path: Path, kind: int) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, kind)
        yield file
    finally:
        os.close(file)

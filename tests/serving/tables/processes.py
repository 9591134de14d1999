"""The processes that answer tables, and tables for them."""

import os
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.damaged_tables import sound
from serving.codecs.media_types import CSV
from tests.serving.penguins import FEATURES
from tests.serving.tables.conftest import Workshop

TABLES = [(media_type, bodies[0]) for media_type, bodies in sound().items()]
SMALL = TABLES[0]
LARGE = CSV, (",".join(FEATURES) + "\n" + "39.1,18.7,181,3750\n" * 1_000_000).encode()


def children(pid: int) -> list[psutil.Process]:
    """Return the children of a process; psutil would look at every process of the machine."""
    found = []
    for path in Path("/proc", str(pid), "task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            for child in path.read_text().split():
                with suppress(psutil.NoSuchProcess):
                    found.append(psutil.Process(int(child)))
    return found


def launchers() -> list[psutil.Process]:
    """Return the launchers of this process."""
    return [child for child in children(os.getpid()) if is_launcher(child)]


def is_launcher(process: psutil.Process) -> bool:
    """Return whether a process is a launcher that hasn't ended."""
    try:
        return "serving.tables.launcher" in process.cmdline()
    except psutil.NoSuchProcess:  # it may end at any time; psutil's error of a zombie is one of these
        return False


def workers() -> list[psutil.Process]:
    """Return the workers, spare and busy ones."""
    return [child for launcher in launchers() for child in children(launcher.pid)]


def is_spare(worker: psutil.Process) -> bool:
    """Return whether a worker hasn't got a table: only then the size of its files isn't limited."""
    try:
        return worker.rlimit(psutil.RLIMIT_FSIZE)[0] == psutil.RLIM_INFINITY
    except psutil.NoSuchProcess:
        return False


def spare(workshop: Workshop) -> psutil.Process:
    """Wait until no worker is busy, and return the spare one."""
    workshop.until(lambda: [is_spare(worker) for worker in workers()] == [True])
    return workers()[0]

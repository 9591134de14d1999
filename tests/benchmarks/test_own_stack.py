"""The stack of a benchmark that is ended, as by `timeout`."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from local.environment import MARK
from local.settings import REPO
from local.waiting import until
from tests import run

CODE = "from benchmarks.own_stack import own_stack\nwith own_stack():\n    pass"


def left(folder: Path) -> list[str]:
    """Return the names of the processes of stacks below a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(str(folder)):
                found.append(process.name())
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short, as the sockets of a stack need it."""
    with TemporaryDirectory(dir=run.folder()) as made:
        yield Path(made)


@pytest.mark.programs
def test_a_benchmark_that_is_ended_leaves_nothing(folder: Path) -> None:
    variables = os.environ | {"TMPDIR": str(folder), "PYTHONPATH": "plugins"}
    with subprocess.Popen([sys.executable, "-c", CODE], cwd=REPO, env=variables, stderr=subprocess.DEVNULL) as process:

        def has_postgres() -> bool:
            assert process.poll() is None
            return "postgres" in left(folder)

        until(has_postgres, "PostgreSQL to start", 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) != 0
    assert not left(folder)
    assert not [*folder.iterdir()]

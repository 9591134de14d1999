"""The stack of a benchmark that is ended, as by `timeout`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from local.environment import MARK
from local.settings import REPO
from local.waiting import until

CODE = "from benchmarks.own_stack import own_stack\nwith own_stack():\n    pass"


def left(folder: Path) -> list[psutil.Process]:
    """Return the processes of stacks below a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(str(folder)):
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


@pytest.mark.programs
def test_a_benchmark_that_is_ended_leaves_nothing(tmp_path: Path) -> None:
    variables = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": "plugins"}
    with subprocess.Popen([sys.executable, "-c", CODE], cwd=REPO, env=variables, stderr=subprocess.DEVNULL) as process:
        until(lambda: any(each.name() == "postgres" for each in left(tmp_path)), "PostgreSQL to start", 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) != 0
    assert not left(tmp_path)
    assert not [*tmp_path.iterdir()]

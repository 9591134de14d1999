"""The suite itself: a run cleans up after any end, limits the time of every test, and shows logs."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local.orphans import has_ended
from local.settings import REPO
from local.waiting import until
from tests.run import MARK

pytestmark = pytest.mark.programs

WAITING = """
import os, subprocess, sys, threading
from pathlib import Path

def test_that_waits(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    Path({started!r}).write_text(f"{{child.pid}} {{os.environ[{mark!r}]}}")
    threading.Event().wait()
"""
FAILING = """
def test_that_fails(tmp_path):
    (tmp_path / "program.log").write_text("the last words of the program")
    assert False
"""
SLOW = """
import threading, pytest

@pytest.mark.timeout(0.5)
def test_that_takes_too_long():
    threading.Event().wait()
"""


def suite(path: Path, text: str, *arguments: str) -> list[str]:
    """Return the command that runs one test file with the suite's conftest."""
    path.write_text(text)
    config = ("-c", str(REPO / "pyproject.toml"), "-p", "tests.conftest", "-p", "no:cacheprovider")
    config += ("-p", "no:schemathesis", "-p", "no:hypothesispytest")  # these plugins take seconds to import
    return [sys.executable, "-m", "pytest", *config, *arguments, str(path)]


@pytest.fixture
def waiting(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    """A running suite with a waiting test, the id of the test's child process, and the folder of the run."""
    started = tmp_path / "started"
    text = WAITING.format(started=str(started), mark=MARK)
    command = suite(tmp_path / "test_waiting.py", text, f"--numprocesses={request.param}")
    with (tmp_path / "output").open("w") as output:
        running = subprocess.Popen(command, cwd=REPO, stdout=output, stderr=output, start_new_session=True)
    try:
        until(lambda: started.exists() and started.read_text(), "the test to start", 60)
        pid, folder = started.read_text().split()
        yield running, int(pid), Path(folder)
    finally:
        running.kill()
        running.wait()


@pytest.mark.parametrize(
    ("waiting", "number"),
    [(0, signal.SIGINT), (0, signal.SIGKILL), (2, signal.SIGTERM), (2, signal.SIGKILL)],
    indirect=["waiting"],
)
def test_an_interrupted_run_leaves_nothing(waiting: tuple[subprocess.Popen[bytes], int, Path], number: int) -> None:
    running, pid, folder = waiting
    child = psutil.Process(pid)
    assert folder.is_dir()
    running.send_signal(number)
    running.wait()
    until(lambda: has_ended(child) and not folder.exists(), "the end of the child and of the folder", 60)


def test_a_failed_test_shows_the_logs_written_meanwhile(tmp_path: Path) -> None:
    done = subprocess.run(suite(tmp_path / "test_failing.py", FAILING), cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 1
    assert "program.log" in done.stdout
    assert "the last words of the program" in done.stdout


def test_a_test_that_takes_too_long_is_named(tmp_path: Path) -> None:
    done = subprocess.run(suite(tmp_path / "test_slow.py", SLOW), cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 1
    assert "test_that_takes_too_long" in done.stdout
    assert "Timeout (>0.5s)" in done.stdout

"""One run of the test suite: its temporary folder, the mark on every process it starts, and their end.

The process that was called (with xdist: the controller) begins the run and hands folder and mark on in the environment.
A process beside it, the reaper, waits until that process ends, however it ends, and then stops what carries the mark
and deletes the folder: after a run that was interrupted or killed there is nothing left either.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from local.settings import REPO

MARK = "PENGUINS_TEST_RUN"
"""Environment variable of every process of a run; its value is the run's folder."""

PROJECTS = "compose-projects"
"""File in the run's folder with the names of the Compose projects it has started, one a line."""

_TEMPORARY = "tmp"


def folder() -> Path:
    """Return the folder of the run this process belongs to."""
    return Path(os.environ[MARK])


def begin() -> "subprocess.Popen[bytes]":
    """Create the folder, mark the processes that will be started, and start the reaper; returns the reaper."""
    made = Path(tempfile.mkdtemp(prefix="penguins-tests-"))
    reaper = subprocess.Popen(
        [sys.executable, "-m", "tests.reaper", str(made)], cwd=REPO, stdin=subprocess.PIPE, start_new_session=True
    )
    (made / _TEMPORARY).mkdir()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # every program would compile our code anew
    os.environ[MARK] = str(made)
    for variable in ("TMPDIR", "JOBLIB_TEMP_FOLDER"):
        os.environ[variable] = str(made / _TEMPORARY)
    tempfile.tempdir = str(made / _TEMPORARY)
    return reaper


def note_project(name: str) -> None:
    """Have the containers, volumes and networks of a Compose project removed at the end of the run."""
    with (folder() / PROJECTS).open("a") as file:
        file.write(f"{name}\n")


def end(reaper: "subprocess.Popen[bytes]") -> None:
    """Let the reaper stop and delete what is left; returns when that is done."""
    reaper.communicate()

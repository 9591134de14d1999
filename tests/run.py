"""One run of the test suite: its temporary folder, the mark on every process it starts, and their end.

The main process (with xdist the controller) begins the run and passes folder and mark on in the environment. A second
process, the reaper, waits for the end of the main process, then stops every process with the mark and deletes the
folder. So an interrupted or killed run leaves nothing behind either.
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
"""File in the run's folder with the names of its Compose projects, one per line."""

_TEMPORARY = "tmp"


def folder() -> Path:
    """Return the folder of this process's run."""
    return Path(os.environ[MARK])


def begin() -> "subprocess.Popen[bytes]":
    """Create the folder, set the mark for all later processes, start the reaper and return it."""
    made = Path(tempfile.mkdtemp(prefix="penguins-tests-"))
    reaper = subprocess.Popen(
        [sys.executable, "-m", "tests.reaper", str(made)], cwd=REPO, stdin=subprocess.PIPE, start_new_session=True
    )
    (made / _TEMPORARY).mkdir()
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # without cached bytecode every program would compile our code again
    os.environ[MARK] = str(made)
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # as the stack's programs; else MLflow asks a server of its own
    for variable in ("TMPDIR", "JOBLIB_TEMP_FOLDER"):
        os.environ[variable] = str(made / _TEMPORARY)
    tempfile.tempdir = str(made / _TEMPORARY)
    return reaper


def note_project(name: str) -> None:
    """Schedule the containers, volumes and networks of a Compose project for removal at the end of the run."""
    with (folder() / PROJECTS).open("a") as file:
        file.write(f"{name}\n")


def end(reaper: "subprocess.Popen[bytes]") -> None:
    """End the run and wait until the reaper has cleaned up."""
    reaper.communicate()

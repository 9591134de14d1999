"""Stacks for tests: copies of one prepared stack, so that databases are created and migrated once per run."""

import fcntl
import subprocess
from pathlib import Path

from local import postgres
from local.settings import Settings
from local.stack import Stack
from tests import logs, run

# Tests need no protection of data against a crash of the machine.
POSTGRES_OPTIONS = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"

_forbidden = False


def forbid() -> None:
    """Let no test of this process get a stack: the first would wait half a minute for the one that is prepared."""
    global _forbidden
    _forbidden = True


def copy(folder: Path) -> Stack:
    """Return a stack in `folder` with migrated databases and the bucket, nothing else in it, and nothing running."""
    if _forbidden:
        raise RuntimeError("a fast test starts programs of the stack: mark it with pytest.mark.programs")
    state = folder / "state"
    # not shutil.copytree: if root runs the tests, the database's files belong to another user
    prepared = _prepared()
    subprocess.run(["cp", "--archive", "--reflink=auto", str(prepared), str(state)], check=True)
    configuration = state / "airflow" / "airflow.cfg"  # Airflow writes absolute paths into this file
    configuration.write_text(configuration.read_text().replace(str(prepared), str(state)))
    stack = Stack(Settings.on_free_ports(state))
    logs.watch(stack.config.layout.logs)
    return stack


def _prepared() -> Path:
    """Return the state directory to copy; the first process of the run creates it, others wait for the lock."""
    state, done = run.folder() / "prepared", run.folder() / "prepared.done"
    with (run.folder() / "prepared.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _prepare(state)
            done.touch()
    return state


def _prepare(state: Path) -> None:
    stack = Stack(Settings.on_free_ports(state))
    postgres.initialise(stack.config)
    with (stack.config.layout.postgres / "postgresql.conf").open("a") as file:
        file.write(POSTGRES_OPTIONS)
    with stack.running("mlflow", "airflow-migrate"):
        pass
    for log in stack.config.layout.logs.iterdir():
        log.unlink()

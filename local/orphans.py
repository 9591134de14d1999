"""Processes left by a killed supervisord: find them by their mark and stop them."""

import signal
import time
from pathlib import Path

import psutil

from local.config import Config
from local.environment import MARK
from local.errors import StackError

_POLL = 0.05  # seconds
_TIMEOUT = 10  # seconds; some processes hang on the closed pipe of their log


def orphans(config: Config) -> list[psutil.Process]:
    """Return the processes with this stack's mark; only for a stack without a running supervisord."""
    return [process for process in psutil.process_iter() if _is_marked(process, config)]


def _is_marked(process: psutil.Process, config: Config) -> bool:
    try:
        mark: str | None = process.environ().get(MARK)
    except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
        return False  # another user's process, or already ended
    return mark == str(config.layout.state)


def stop_orphans(config: Config) -> int:
    """Stop the orphans and return their number. Raises StackError if one can't be stopped."""
    found = orphans(config)
    database = [process for process in found if process.name() == "postgres"]
    clients = [process for process in found if process not in database]
    _stop(clients, signal.SIGTERM)
    _stop(database, signal.SIGINT)  # the fast shutdown of PostgreSQL; on SIGTERM the server waits for its clients
    return len(found)


def survivors(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait at most so many seconds for processes to end, and return those still running.

    Unlike psutil.wait_procs this function doesn't wait for the parent of a process to reap it.
    """
    deadline = time.monotonic() + seconds
    while (alive := [process for process in processes if not has_ended(process)]) and time.monotonic() < deadline:
        time.sleep(_POLL)
    return alive


def has_ended(process: psutil.Process) -> bool:
    """Return whether a process has ended and holds no resources, such as a port."""
    try:
        if process.status() != psutil.STATUS_ZOMBIE:
            return not process.is_running()
        # on Linux other threads may outlive the first one
        return len(list(Path("/proc", str(process.pid), "task").iterdir())) <= 1
    except (psutil.NoSuchProcess, FileNotFoundError):
        return True


def _stop(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        _send(process, number)
    remaining = survivors(processes, _TIMEOUT)
    for process in remaining:
        _send(process, signal.SIGKILL)
    if alive := survivors(remaining, _TIMEOUT):
        raise StackError(f"processes of the previous run don't end: {', '.join(str(p.pid) for p in alive)}")


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return  # the process has already ended

"""Processes of a stack whose supervisord was killed: found by their mark, and stopped."""

import signal
import time
from pathlib import Path

import psutil

from local.config import Config
from local.environment import MARK
from local.errors import StackError

_POLL = 0.05  # seconds
_PATIENCE = 10  # seconds; some hang on the closed pipe of their log


def orphans(config: Config) -> list[psutil.Process]:
    """Processes that carry this stack's mark; only for a stack whose supervisord isn't running."""
    return [process for process in psutil.process_iter() if _is_marked(process, config)]


def _is_marked(process: psutil.Process, config: Config) -> bool:
    try:
        mark: str | None = process.environ().get(MARK)
    except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
        return False  # another user's, or gone: not ours to stop
    return mark == str(config.layout.state)


def stop_orphans(config: Config) -> int:
    """Stop what a crash left running; returns how many processes. Raises StackError if one survives."""
    found = orphans(config)
    database = [process for process in found if process.name() == "postgres"]
    clients = [process for process in found if process not in database]
    _stop(clients, signal.SIGTERM)
    _stop(database, signal.SIGINT)  # its fast shutdown; on SIGTERM it waits for its clients
    return len(found)


def survivors(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait for the end of processes, and return those that are still there after so many seconds.

    Unlike psutil.wait_procs it doesn't wait for another process, their parent by now, to take note of it.
    """
    deadline = time.monotonic() + seconds
    while (alive := [process for process in processes if not has_ended(process)]) and time.monotonic() < deadline:
        time.sleep(_POLL)
    return alive


def has_ended(process: psutil.Process) -> bool:
    """Whether a process does nothing and holds nothing any more, such as a port."""
    try:
        if process.status() != psutil.STATUS_ZOMBIE:
            return not process.is_running()
        # where the first thread has ended, others may still be there (Linux)
        return len(list(Path("/proc", str(process.pid), "task").iterdir())) <= 1
    except (psutil.NoSuchProcess, FileNotFoundError):
        return True


def _stop(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        _send(process, number)
    stubborn = survivors(processes, _PATIENCE)
    for process in stubborn:
        _send(process, signal.SIGKILL)
    if alive := survivors(stubborn, _PATIENCE):
        raise StackError(f"processes of the previous run don't end: {', '.join(str(p.pid) for p in alive)}")


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return  # it ended by itself, as was wanted

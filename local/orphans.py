"""Processes of a stack whose supervisord was killed: found by their mark, and stopped."""

import signal

import psutil

from local.config import Config
from local.environment import MARK
from local.errors import StackError

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


def _stop(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        _send(process, number)
    _, stubborn = psutil.wait_procs(processes, timeout=_PATIENCE)
    for process in stubborn:
        _send(process, signal.SIGKILL)
    _, alive = psutil.wait_procs(stubborn, timeout=_PATIENCE)
    if alive:
        raise StackError(f"processes of the previous run don't end: {', '.join(str(p.pid) for p in alive)}")


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return  # it ended by itself, as was wanted

"""States, uptimes, memory and addresses of the programs."""

import time
from datetime import timedelta

import psutil
from rich.console import Group, RenderableType
from rich.table import Table

from local import disk
from local.config import Config
from local.stack import Stack
from local.supervisor import ProcessState

_HEALTHY = {"RUNNING", "EXITED"}


def resident(pid: int) -> int:
    """Return the resident memory of a process and its descendants, in bytes; 0 if the process has ended."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(_resident(member) for member in family)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def status(stack: Stack) -> RenderableType:
    """Return a table of the programs of a running stack, and what it takes of the disk."""
    table = Table("program", "state", "uptime", "memory", "address", box=None, pad_edge=False)
    total = 0
    states = stack.states()
    for name, program in stack.programs.items():
        if program.once or name not in states:  # a setting may want a program that the running stack doesn't have
            continue
        state = states[name]
        memory = resident(state.pid) if state.alive else 0
        total += memory
        table.add_row(
            name,
            _coloured(state),
            str(timedelta(seconds=int(time.time()) - state.started)) if state.alive else "",
            _megabytes(memory) if state.alive else "",
            stack.urls.get(name, _postgres_address(stack.config) if name == "postgres" else ""),
        )
    table.add_row("", "", "total", _megabytes(total), "")
    return Group(table, "", addresses(stack), "", disk.use(stack.config))


def addresses(stack: Stack) -> RenderableType:
    """Return a table of the web interfaces with their addresses and logins."""
    credentials = stack.config.credentials
    table = Table("", "address", "user", "password", box=None, pad_edge=False)
    table.add_row("Airflow", stack.urls["airflow-api-server"], "admin", credentials.airflow_password)
    table.add_row("MLflow", stack.urls["mlflow"], "", "")
    table.add_row("Predictions", stack.urls["api"], "", "")
    table.add_row("S3 console", stack.urls["s3-console"], "admin", credentials.s3_console_password)
    return table


def _coloured(state: ProcessState) -> str:
    return f"[{'green' if state.state in _HEALTHY else 'red'}]{state.state.lower()}[/]"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _postgres_address(config: Config) -> str:
    return f"127.0.0.1:{config.settings.postgres_port}"

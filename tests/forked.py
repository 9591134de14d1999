"""Programs as forks of a process that has imported them, which saves nine tenths of the processor's time of a start.

`python -m tests.forked PACKAGE` forks `python -m PACKAGE` for each message on the socket that is its standard input.
The code is the program's. Tests of its start, of several workers and of limits start the program itself.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from local.settings import REPO

LATER = {"serving": ("serving.api.app", "uvicorn.lifespan.on", "uvicorn.loops.uvloop")}
"""Modules that a program imports after its start."""

_MESSAGE_BYTES = 1_000_000


class Forked:
    """The process of a program, with the methods of `subprocess.Popen` that tests use; it has a session of its own."""

    def __init__(self, package: str, variables: Mapping[str, str], log: Path) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, log.open("ab") as file:
            socket.send_fds(_forking(package), [json.dumps(dict(variables)).encode()], [theirs.fileno(), file.fileno()])
        self.pid = int(self._line.recv(100))
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, or None while the process is running."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process, and return its exit status. Raises TimeoutExpired."""
        if self._status is None:
            if not select.select([self._line], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a fork", timeout or 0)
            self._status = os.waitstatus_to_exitcode(int(self._line.recv(100)))
            self._line.close()
        return self._status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has, and its status is on the way
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


@cache
def _forking(package: str) -> socket.socket:
    """Start the process that forks a program; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        subprocess.Popen([sys.executable, "-m", __name__, package], stdin=theirs, cwd=REPO, start_new_session=True)
    return ours


def main(package: str) -> None:
    """Fork the program for each message, until the other end of the socket is closed."""
    program = import_module(f"{package}.__main__")
    for name in LATER.get(package, ()):
        import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel then forgets those that have ended
    jobs = socket.socket(fileno=os.dup(0))
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)  # the standard input of the forks
    while True:
        message, files, *_ = socket.recv_fds(jobs, _MESSAGE_BYTES, 2)
        if not message:
            return
        if os.fork() == 0:
            jobs.close()
            _watch(*files)
            _become(json.loads(message))
            _run(program.main)
        for each in files:
            os.close(each)


def _watch(line: int, log: int) -> None:
    """Fork the program, tell its id and exit status, and end; return in the program."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with socket.socket(fileno=line) as told:
        if pid := os.fork():
            os.close(log)
            told.send(str(pid).encode())
            told.send(str(os.waitpid(pid, 0)[1]).encode())
            os._exit(0)
    os.setsid()
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)


def _become(variables: Mapping[str, str]) -> None:
    """Take these variables, and a command line without arguments."""
    os.environ.clear()
    os.environ.update(variables)
    tempfile.tempdir = None
    sys.argv[1:] = []


def _run(program: Callable[[], None]) -> NoReturn:
    """Run the program, and end as Python would, but for the threads of libraries, which a fork doesn't have."""
    status = 0
    try:
        program()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 - as Python does
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1])

"""Give tables to workers, and watch the workers: memory, time, and how they end."""

import os
import selectors
import signal
import socket
import time
from contextlib import suppress
from functools import partial

from serving.inference.model import LoadedModel
from serving.tables.limits import private_bytes
from serving.tables.messages import MAX_MESSAGE_BYTES, Ended, Limits, Reason, decode_job, encode
from serving.tables.worker import CLIENT, LOG, fork_worker

TICK_SECONDS = 0.01


class Busy:
    """A worker with its table, until its end is reported."""

    def __init__(self, process: int, limits: Limits, client: socket.socket) -> None:
        self.client = client
        self._process, self._limits = process, limits
        self._deadline = time.monotonic() + limits.seconds
        self._killed_for: Ended | None = None

    def check(self) -> None:
        """Kill the worker if it is above a limit."""
        if private_bytes(self._process) > self._limits.memory_bytes:
            text = f"it needs more than {self._limits.memory_bytes} bytes of memory: send several"
            self.kill(Ended(Reason.MEMORY, text))
        elif time.monotonic() > self._deadline:
            self.kill(Ended(Reason.TIME, f"it takes longer than {self._limits.seconds:g} s: send several"))

    def kill(self, ended: Ended | None = None) -> None:
        """Kill the worker. It isn't reaped before `report`, so no other process can have its number."""
        self._killed_for = self._killed_for or ended
        os.kill(self._process, signal.SIGKILL)

    def report(self, status: int) -> None:
        """Tell the client how the worker ended, unless that has sent an outcome itself."""
        if status:
            with suppress(OSError):  # the client is gone
                self.client.send(encode(self._killed_for or _ended(os.waitstatus_to_exitcode(status))))
        self.client.close()


class Watch:
    """The loop of the launcher: a spare worker, which gets the next table, and the busy ones."""

    def __init__(self, service: socket.socket, model: LoadedModel) -> None:
        self._service, self._model = service, model
        self._selector = selectors.DefaultSelector()
        self._selector.register(service, selectors.EVENT_READ, self._take)
        self._busy: dict[int, Busy] = {}
        self._spare: tuple[int, socket.socket] | None = self._fork()

    def run(self) -> None:
        """Serve until the service closes its socket and no worker is busy."""
        while self._busy or self._service.fileno() >= 0:
            for key, _ in self._selector.select(TICK_SECONDS if self._busy else None):
                if self._selector.get_map().get(key.fd) is key:  # another event may have closed it
                    key.data()
            for busy in self._busy.values():
                busy.check()

    def _fork(self) -> tuple[int, socket.socket]:
        process, connection = fork_worker(self._model)
        exited = os.pidfd_open(process)
        self._selector.register(exited, selectors.EVENT_READ, partial(self._reap, process, exited))
        return process, connection

    def _take(self) -> None:
        message, files, _, _ = socket.recv_fds(self._service, MAX_MESSAGE_BYTES, LOG + 1)
        if not message:
            self._selector.unregister(self._service)
            self._service.close()
            return
        process, connection = self._spare or self._fork()
        with connection, suppress(OSError):  # it has just been killed: that will be reported
            socket.send_fds(connection, [message], files)
        client = files.pop(CLIENT)
        for file in files:
            os.close(file)
        busy = self._busy[process] = Busy(process, decode_job(message).limits, socket.socket(fileno=client))
        self._selector.register(client, selectors.EVENT_READ, partial(self._give_up, busy))  # it never sends: it closes
        self._spare = self._fork()

    def _give_up(self, busy: Busy) -> None:
        self._selector.unregister(busy.client)
        busy.kill()

    def _reap(self, process: int, exited: int) -> None:
        _, status = os.waitpid(process, 0)
        self._selector.unregister(exited)
        os.close(exited)
        busy = self._busy.pop(process, None)
        if busy is None:  # the kernel kills workers first where memory is short; the next table gets another one
            self._spare = None
            return
        if busy.client in self._selector.get_map():  # else the client has given up
            self._selector.unregister(busy.client)
        busy.report(status)


def _ended(code: int) -> Ended:
    """Describe the end of a worker that the launcher didn't kill, from its exit code."""
    if code > 0:
        return Ended(Reason.FAILED, f"reading it ended with {code}")
    number = signal.Signals(-code)
    reasons = {signal.SIGKILL: Reason.KILLED, signal.SIGXCPU: Reason.TIME}
    detail = f"reading it ended with {number.name}: it is damaged or too large"
    return Ended(reasons.get(number, Reason.CRASHED), detail)

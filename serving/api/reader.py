"""Close connections whose client doesn't read its answers."""

import logging
from array import array
from asyncio import AbstractEventLoop, TimerHandle, Transport
from fcntl import ioctl
from termios import TIOCOUTQ

from serving.settings import Settings

logger = logging.getLogger(__name__)


class Reader:
    """The client of a connection as it reads: bytes that it doesn't take occupy memory for as long as it likes.

    While watched, it must take `min_bytes_per_second` on average over each `body_seconds`.
    """

    def __init__(self, transport: Transport, loop: AbstractEventLoop, settings: Settings) -> None:
        self._transport = transport
        self._loop = loop
        self._seconds = settings.body_seconds
        self._least = settings.min_bytes_per_second * settings.body_seconds
        self._unread = 0
        self._timer: TimerHandle | None = None

    def watch(self) -> None:
        """Begin, unless it is watched already."""
        if self._timer is None:
            self._unread = self._count()
            self._timer = self._loop.call_later(self._seconds, self._check)

    def ignore(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer, before = None, self._unread
        self.watch()
        if before - self._unread < self._least:
            logger.warning("request.given_up: the client doesn't read its answer")
            self._transport.abort()

    def _count(self) -> int:
        """Return the bytes that wait in this process or, until the client confirms them, in the system."""
        waiting = array("i", [0])
        ioctl(self._transport.get_extra_info("socket").fileno(), TIOCOUTQ, waiting)
        return self._transport.get_write_buffer_size() + waiting[0]

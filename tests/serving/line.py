"""A network line that can be cut, to simulate an outage."""

import contextlib
import select
import socket
import threading
from typing import Self

from local.ports import free_ports

TICK_SECONDS = 0.02


class Line:
    """Forwards a local port to a server. While the line is cut, connections are refused."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        (self._port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self._port}"
        # The header Host of a client: MLflow answers under its own port only.
        self._names = (f"127.0.0.1:{self._port}".encode(), f"{host}:{port}".encode())

    def __enter__(self) -> Self:
        self.restore()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def restore(self) -> None:
        """Start to forward connections."""
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._cut = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        """Close all connections and refuse new ones."""
        self._cut.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._cut.is_set():
            if not select.select([self._listener], [], [], TICK_SECONDS)[0]:
                continue
            thread = threading.Thread(target=self._forward, args=[self._listener.accept()[0]])
            self._threads.append(thread)
            thread.start()

    def _forward(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server, contextlib.suppress(ConnectionError):
            while not self._cut.is_set():
                for end in select.select([client, server], [], [], TICK_SECONDS)[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    if end is client:
                        server.sendall(data.replace(*self._names))
                    else:
                        client.sendall(data)

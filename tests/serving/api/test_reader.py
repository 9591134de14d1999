"""Clients that don't read their answers, or slowly."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

from local.waiting import until
from tests.serving.api.conftest import Start
from tests.serving.service import PENGUIN, Service

BODY = json.dumps([PENGUIN] * 2000).encode()
HEAD = (
    b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    % len(BODY)
)
PIECE = 32 * 1024


@contextmanager
def socket_of(service: Service) -> Iterator[socket.socket]:
    """Connect to the service, with little room for answers that wait."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PIECE)
        client.connect(("127.0.0.1", service.http.base_url.port or 0))
        yield client


def flood(client: socket.socket) -> None:
    """Send requests without reading an answer, until the service takes no more or the connection ends."""
    with suppress(OSError):
        for _ in range(1000):
            client.sendall(HEAD + BODY)


def test_clients_that_do_not_read_occupy_no_places(cached: Start) -> None:
    service = cached(SERVING_MAX_REQUESTS=2, SERVING_BODY_SECONDS=3)
    with ExitStack() as clients:
        for _ in range(3):
            client = clients.enter_context(socket_of(service))
            client.settimeout(0.5)
            flood(client)
        assert {service.predict().status_code for _ in range(20)} == {200}
        until(lambda: service.log.count("request.given_up") == 3, "the connections to be closed")
        assert service.is_live()
    assert "Traceback" not in service.log


def test_slow_reader_gets_its_answers(cached: Start) -> None:
    service = cached(SERVING_BODY_SECONDS=1, SERVING_MIN_BYTES_PER_SECOND=100_000)
    received = 0

    def enough() -> bool:
        nonlocal received
        received += len(piece := client.recv(PIECE))
        assert piece, "the service closed the connection"
        return received > 40 * PIECE

    with socket_of(service) as client, ThreadPoolExecutor(1) as sender:
        # It reads from the first answer on: a pause between sending and reading would count as not reading.
        sender.submit(flood, client)
        until(enough, "answers", poll=0.05)  # 640 kB/s, for twice SERVING_BODY_SECONDS
        client.shutdown(socket.SHUT_RDWR)
    assert "request.given_up" not in service.log

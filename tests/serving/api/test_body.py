"""The body of a request, and its timeouts."""

import socket
from collections.abc import Iterable
from contextlib import suppress
from itertools import repeat
from select import select

import psutil
import pytest

from local.waiting import until
from tests.serving.api.conftest import Start, sample
from tests.serving.service import PENGUIN, Service

HEAD = (
    b"POST /predict HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n"
)
HEADER = ",".join(PENGUIN).encode() + b"\n"
ROW = b"39.1,18.7,181,3750\n"


def answer(service: Service, head: bytes, pieces: Iterable[bytes], pause: float = 0.02) -> bytes:
    """Return the answer to a body in pieces. A client that still sends when the service closes may lose it."""
    for _ in range(4):
        with suppress(ConnectionError):
            return once(service, head, pieces, pause)
    return once(service, head, pieces, pause)


def once(service: Service, head: bytes, pieces: Iterable[bytes], pause: float) -> bytes:
    """Send a body in pieces, with a pause before each, until there is an answer; return it."""
    with socket.create_connection(("127.0.0.1", service.http.base_url.port or 0), timeout=20) as client:
        client.sendall(head)
        for piece in pieces:
            if select([client], [], [], pause)[0]:
                break
            client.sendall(piece)
        return client.makefile("rb").read()


def test_slow_body_is_refused(cached: Start) -> None:
    service = cached(SERVING_BODY_SECONDS=0.2)
    for pieces in ([b"{"], repeat(b" ")):
        refused = answer(service, HEAD % (b"application/json", 10**6), pieces)
        assert refused.startswith(b"HTTP/1.1 408")
        assert b"the body wasn't whole after 0.2 s: only " in refused


@pytest.mark.parametrize(
    ("piece", "seconds"), [(b"1", 0.5), (ROW * 100, 1.5)], ids=["below the least speed", "above the longest time"]
)
def test_endless_table_is_refused(cached: Start, piece: bytes, seconds: float) -> None:
    limits = {"SERVING_BODY_SECONDS": 0.5, "SERVING_MIN_BYTES_PER_SECOND": 10_000, "SERVING_TABLE_SECONDS": 1.5}
    service = cached(**limits, SERVING_MAX_TABLES=1)
    refused = answer(service, HEAD % (b"text/csv", 10**8), repeat(piece))
    assert refused.startswith(b"HTTP/1.1 408")
    assert b"the body wasn't whole after %g s: only " % seconds in refused
    assert answer(service, HEAD % (b"text/csv", len(HEADER + ROW)), [HEADER + ROW]).startswith(b"HTTP/1.1 200")


def test_slow_table_is_answered(cached: Start) -> None:
    service = cached(SERVING_BODY_SECONDS=0.5, SERVING_MIN_BYTES_PER_SECOND=100)
    pieces = [HEADER, *[ROW] * 20]
    head = HEAD % (b"text/csv", sum(map(len, pieces)))
    assert answer(service, head, pieces, pause=0.05).startswith(b"HTTP/1.1 200")  # in twice SERVING_BODY_SECONDS


def workers(service: Service) -> set[psutil.Process]:
    """Return the processes that answer tables, and the one that waits for a table."""
    return {worker for launcher in psutil.Process(service.process.pid).children() for worker in launcher.children()}


def test_table_of_a_client_that_has_gone_is_given_up(service: Service) -> None:
    assert answer(service, HEAD % (b"text/csv", len(HEADER + ROW)), [HEADER + ROW]).startswith(b"HTTP/1.1 200")
    until(lambda: len(workers(service)) == 1, "the spare worker")
    (worker,) = workers(service)
    outcomes = [f'penguins_requests_total{{method="POST",route="/predict",status="{code}"}}' for code in (200, 400)]
    before = [sample(service, name) for name in outcomes]
    with socket.create_connection(("127.0.0.1", service.http.base_url.port or 0), timeout=20) as client:
        client.sendall(HEAD % (b"text/csv", len(HEADER + ROW * 1_000_000)))
        client.sendall(HEADER + ROW * 1_000_000)
        until(lambda: len(workers(service)) == 2, "the worker to have the table", poll=0.01)
    until(lambda: not worker.is_running(), "the end of the worker")
    # Answered to nobody, but counted.
    until(lambda: sum(sample(service, name) for name in outcomes) == sum(before) + 1, "the request to end")
    assert [sample(service, name) for name in outcomes] == [before[0], before[1] + 1]

"""Requests below HTTP's usual: upgrades, heads that are too large or too slow, and odd lengths."""

import json
import re
import socket
from contextlib import suppress

import pytest

from local.waiting import until
from serving.api.protocol import MAX_HEAD_BYTES, MAX_WAITING
from tests.serving.api.conftest import Start, sample
from tests.serving.service import PENGUIN, Service

BODY = json.dumps(PENGUIN).encode()
CHUNKED = b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n" % (len(BODY), BODY)
CURL = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
WEBSOCKET = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: eA==\r\nsec-websocket-version: 13\r\n"


def request(headers: bytes = b"", length: bytes = b"%d" % len(BODY)) -> bytes:
    """Return a request for a prediction, with these headers."""
    head = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return head + headers + (b"" if b"\r\n\r\n" in headers else b"content-length: %s\r\n\r\n%s" % (length, BODY))


LAST = request(b"connection: close\r\n")


def connect(service: Service) -> socket.socket:
    """Open a connection to the service."""
    return socket.create_connection(("127.0.0.1", service.http.base_url.port or 0), timeout=20)


def statuses(service: Service, data: bytes) -> list[int]:
    """Send `data`, wait until the service closes the connection, and return the status of each answer."""
    with connect(service) as client:
        with suppress(ConnectionError):  # refused before all was sent
            client.sendall(data)
        return received(client)


def received(client: socket.socket) -> list[int]:
    """Wait until the service closes the connection, and return the status of each answer."""
    answers = b""
    with suppress(ConnectionResetError):
        while data := client.recv(65536):
            answers += data
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", answers)]


@pytest.mark.parametrize("upgrade", [CURL, WEBSOCKET, WEBSOCKET + CURL], ids=["h2c", "websocket", "both"])
def test_upgrade_is_ignored(service: Service, upgrade: bytes) -> None:
    assert statuses(service, request(upgrade) + LAST) == [200, 200]
    assert statuses(service, request(upgrade + b"connection: close\r\n")) == [200]
    assert statuses(service, request(upgrade + CHUNKED + b"\r\n") + request(upgrade) + LAST) == [200] * 3


def test_upgrade_in_single_bytes_is_ignored(service: Service) -> None:
    with connect(service) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request(CURL + b"connection: close\r\n"):
            client.send(bytes([byte]))
        assert received(client) == [200]


@pytest.mark.parametrize(
    ("length", "status"),
    [(b"9" * 5001, 400), (b"%05001d" % len(BODY), 200), (b"%05001d" % 10**9, 413), (b"%05001d" % 10**19, 413)],
    ids=["nines", "right", "too large", "64 bits"],
)
def test_long_content_length_is_read(service: Service, length: bytes, status: int) -> None:
    assert statuses(service, request(b"connection: close\r\n", length)) == [status]


@pytest.mark.parametrize(
    "data",
    [
        request(b"x: %s\r\n" % (b"x" * MAX_HEAD_BYTES)),
        request(b"x: y\r\n" * (MAX_HEAD_BYTES // 6)),
        b"GET /%s HTTP/1.1\r\n\r\n" % (b"x" * MAX_HEAD_BYTES),
        request(CURL + b"x: %s\r\n" % (b"x" * MAX_HEAD_BYTES)),
    ],
    ids=["header", "headers", "line", "upgrade"],
)
def test_large_head_is_refused(service: Service, data: bytes) -> None:
    metric = 'penguins_requests_total{method="other",route="other",status="431"}'
    before = sample(service, metric)
    assert statuses(service, data) == [431]
    assert sample(service, metric) == before + 1
    assert statuses(service, request(b"x: %s\r\n" % (b"x" * (MAX_HEAD_BYTES - 500))) + LAST) == [200, 200]


@pytest.mark.parametrize("before", [b"", CHUNKED], ids=["headers", "trailers"])
def test_endless_headers_take_no_memory(service: Service, before: bytes) -> None:
    sent, peak = 0, service.peak_bytes()
    with connect(service) as client, suppress(ConnectionError):
        client.sendall(request(before) if before else b"GET / HTTP/1.1\r\n")
        while sent < 100 * 1024 * 1024:
            sent += client.send(b"x: %s\r\n" % (b"x" * 10_000))
    assert sent < 10 * 1024 * 1024
    assert service.peak_bytes() - peak < 8 * 1024 * 1024


@pytest.mark.parametrize("junk", [b"junk\r\n\r\n", b"CONNECT x:443 HTTP/1.1\r\n\r\n"], ids=["junk", "connect"])
def test_requests_before_a_wrong_one_are_answered(service: Service, junk: bytes) -> None:
    assert statuses(service, junk) == [400]
    assert statuses(service, request() + request() + junk) == [200, 200]


def test_requests_that_wait_take_no_memory(service: Service) -> None:
    peak, requests = service.peak_bytes(), b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n" * 100_000
    assert set(answered := statuses(service, requests)) == {200}
    assert MAX_WAITING < len(answered) < 10_000
    assert statuses(service, request() * MAX_WAITING + LAST) == [200] * (MAX_WAITING + 1)
    assert service.peak_bytes() - peak < 8 * 1024 * 1024


def test_slow_head_is_refused(cached: Start) -> None:
    service = cached(SERVING_HEADER_SECONDS=0.3)
    assert statuses(service, b"") == []
    assert statuses(service, request()[: -len(BODY) - 5]) == [408]
    with connect(service) as client, suppress(ConnectionError):
        until(lambda: not client.send(b"x"), "the end of a head in single bytes", poll=0.01)
    # The body of a request that was answered early goes nowhere, and its sender has as long to end it.
    assert statuses(service, b"POST /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n1") == [404]

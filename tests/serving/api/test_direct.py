"""Small requests that arrive in one piece, and are answered without ASGI, against the same ones in two pieces."""

import json
import re
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.serving.api.conftest import Start, sample
from tests.serving.publisher import Publisher, penguins
from tests.serving.service import PENGUIN, Service

BODY = json.dumps(PENGUIN).encode()
RECORDS = b'{"dataframe_records": [%s]}' % BODY
COUNTED = 'penguins_requests_total{method="POST",route="%s",status="%d"}'
OWN = re.compile(
    rb"(?<=date: )[^\r]+|(?<=x-request-id: )[^\r]+|(?<=x-prediction-id: )[^\r]+"
    rb'|(?<=prediction_id":")[^"]+'
)
"""Parts of an answer that another one hasn't."""


def request(
    body: bytes, path: bytes = b"/predict", headers: bytes = b"", media_type: bytes = b"application/json"
) -> bytes:
    """Return a request, in which the headers may replace the others."""
    head = b"POST %s HTTP/1.1\r\n%s" % (path, headers)
    for name, value in ((b"host", b"localhost"), (b"content-type", media_type), (b"content-length", b"%d" % len(body))):
        head += b"" if name in headers else b"%s: %s\r\n" % (name, value)
    return head + b"\r\n" + body


def received(answers: BinaryIO) -> bytes:
    """Read an answer."""
    head = b"".join(iter(answers.readline, b"\r\n"))
    length = int(re.findall(rb"content-length: (\d+)", head)[0])
    return head + answers.read(length)


def answer(answers: BinaryIO) -> bytes:
    """Read an answer, without the parts that another one hasn't."""
    return OWN.sub(b"", received(answers))


def connect(service: Service) -> socket.socket:
    """Open a connection to the service that sends at once."""
    client = socket.create_connection(("127.0.0.1", service.http.base_url.port or 0), timeout=20)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


@pytest.mark.parametrize(
    "asked",
    [
        request(BODY),
        request(b"[%s, %s]" % (BODY, BODY)),
        request(BODY.replace(b"181", b"1810")),
        request(BODY, headers=b"X-Request-Id: mine\r\nX-API-Key: x\r\nAccept: */*\r\n"),
        request(b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY), headers=b"transfer-encoding: chunked\r\ncontent-length"),
        request(RECORDS, b"/invocations"),
        request(BODY, b"/predict?x=y"),
        request(BODY, media_type=b"application/json; charset=utf-8"),
        request(BODY, media_type=b"text/plain"),
        request(BODY, headers=b"host: elsewhere.example\r\n"),
        request(BODY, headers=b"content-encoding: gzip\r\n"),
        request(b"\x1f\x8b", headers=b"content-encoding: gzip\r\n"),
        request(b"{}"),
        request(b""),
        request(BODY + b" " * 20_000),
        request(b"{}", b"/invocations"),
    ],
    ids=["row", "list", "warning", "own id", "chunked", "scoring", "query", "charset", "type", "host", "encoding",
         "compressed", "field", "empty", "long", "not scored"],
)  # fmt: skip
def test_the_answer_is_that_of_the_application(service: Service, asked: bytes) -> None:
    head, _, body = asked.partition(b"\r\n\r\n")
    with connect(service) as client, client.makefile("rb") as answers:
        client.sendall(asked)
        direct = answer(answers)
        client.sendall(asked + asked)  # in one piece, so the second one goes through the application
        assert [answer(answers), answer(answers)] == [direct, direct]
        client.sendall(head + b"\r\n\r\n")
        client.sendall(body)
        assert answer(answers) == direct


def test_it_is_logged_as_by_the_application(cached: Start, tmp_path: Path) -> None:
    service = cached(SERVING_LOG_DIR=tmp_path / "spool")
    with connect(service) as client, client.makefile("rb") as answers:
        client.sendall(request(BODY))
        found = [received(answers)]
        client.sendall(request(BODY) * 2)
        found += [received(answers), received(answers)]
    ids = [re.findall(rb'(?<=x-prediction-id: )[^\r]+|(?<="prediction_id":")[^"]+', each) for each in found]
    assert all(head == body for head, body in ids)
    assert len({head for head, _ in ids}) == 3
    assert len({OWN.sub(b"", each) for each in found}) == 1
    assert sample(service, "penguins_log_recorded_total") == 3
    assert sample(service, COUNTED % ("/predict", 200)) == 3
    assert sample(service, 'penguins_request_seconds_count{route="/predict"}') == 3


def test_an_idle_connection_is_closed(cached: Start) -> None:
    service = cached()
    with connect(service) as client, client.makefile("rb") as answers:
        for _ in range(3):
            client.sendall(request(BODY))
            received(answers)
        started = time.monotonic()
        assert client.recv(1) == b""
    assert 4 < time.monotonic() - started < 15  # uvicorn's five seconds, from the last answer on


def alone(service: Service, asked: Sequence[bytes]) -> list[bytes]:
    """Return the answers to requests that are sent one after the other."""
    with connect(service) as client, client.makefile("rb") as answers:
        found = []
        for each in asked:
            client.sendall(each)
            found.append(answer(answers))
        return found


def together(service: Service, asked: Sequence[bytes]) -> list[bytes]:
    """Return the answers to requests that all wait when the service looks for the next ones."""
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(service)) for _ in asked]
        answers = [stack.enter_context(client.makefile("rb")) for client in clients]
        service.process.send_signal(signal.SIGSTOP)
        for client, each in zip(clients, asked, strict=True):
            client.sendall(each)
        service.process.send_signal(signal.SIGCONT)
        return [*map(answer, answers)]


def test_rows_that_come_together_have_their_own_answers(service: Service) -> None:
    rows = [{**PENGUIN, "bill_length_mm": 30 + number / 2, "body_mass_g": 2700 + 40 * number} for number in range(80)]
    rows[7]["flipper_length_mm"] = 1e30  # outside the range of training
    rows[11] = {"bill_length_mm": 39.1}  # refused
    asked = [request(json.dumps(row).encode()) for row in rows]
    assert together(service, asked) == alone(service, asked)


def test_a_row_without_an_answer_takes_none_from_others(publisher: Publisher, start: Start) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=316, max_iter=5000)).fit(*penguins(0))
    publisher.promote(version := publisher.publish(model))
    service = start()
    service.serves(version)
    rows = [{**PENGUIN, "bill_length_mm": 30 + number} for number in range(20)]
    huge = dict(zip(PENGUIN, (3e38, 3e38, 1, 1), strict=True))  # a sum of it overflows
    asked = [request(json.dumps(row).encode()) for row in (*rows, huge, *rows)]
    found = together(service, asked)
    assert found == alone(service, asked)
    assert [int(each.split()[1]) for each in found] == [200] * 20 + [422] + [200] * 20

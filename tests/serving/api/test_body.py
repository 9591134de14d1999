"""The body of a request, and its timeout."""

import socket

from tests.serving.api.conftest import Start, started
from tests.serving.publisher import Publisher


def test_slow_body_is_refused(publisher: Publisher, start: Start) -> None:
    service = started(publisher, start, SERVING_BODY_SECONDS=0.2)
    head = (
        b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    )
    with socket.create_connection(("127.0.0.1", service.http.base_url.port or 0)) as client:
        client.sendall(head)
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"the body wasn't whole after 0.2 s of waiting" in answer

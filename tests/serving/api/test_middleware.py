"""Middleware: request IDs, limits and routes."""

import re
import socket
from typing import Any

import pytest

from local.waiting import until
from tests.serving.api.conftest import Start, predict
from tests.serving.service import Service


@pytest.mark.parametrize("path", ["/predict", "/model", "/health/live", "/nowhere", "/metrics", "/"])
def test_request_id_is_returned(service: Service, path: str) -> None:
    response = service.http.get(path, headers={"X-Request-Id": "trace-1/a"})
    assert response.headers["x-request-id"] == "trace-1/a"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "é".encode(), "a\tb", '{"a":1}'])
def test_invalid_request_ids_are_replaced(service: Service, given: Any) -> None:
    response = service.http.get("/health/live", headers={"X-Request-Id": given})
    assert re.fullmatch(r"[0-9a-f]{24}-[0-9a-f]+", response.headers["x-request-id"])


def test_request_ids_are_unique(service: Service) -> None:
    assert len({predict(service).headers["x-request-id"] for _ in range(20)}) == 20


def test_requests_above_the_limit_are_refused(cached: Start) -> None:
    service = cached(SERVING_MAX_REQUESTS=1)
    head = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.http.base_url.port or 0)) as client:
        client.sendall(head)
        refused = until(lambda: (r := predict(service)).status_code == 503 and r, "a refusal")
        assert (refused.json()["reason"], refused.headers["retry-after"]) == ("overloaded", "1")
        assert service.http.get("/health/ready").is_success
    until(lambda: predict(service).is_success, "the end of the first request")


def test_host_header_causes_no_redirect(service: Service) -> None:
    assert service.http.get("/model/", headers={"Host": "localhost:1"}).status_code == 404

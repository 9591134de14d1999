"""Middleware: request IDs, API keys, limits, metrics and logs."""

import json
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.waiting import until
from tests.serving.publisher import Publisher, forest
from tests.serving.service import PENGUIN, Service

Start = Callable[..., Service]


def started(publisher: Publisher, start: Start, **settings: Any) -> Service:
    """Start a service with a version in Production, and wait until the health check reports it ready."""
    publisher.promote(publisher.publish(forest()))
    service = start(**settings)
    until(lambda: service.http.get("/health/ready").is_success, "the service to be ready")
    return service


def predict(service: Service, **headers: str) -> httpx.Response:
    """Request a prediction with these headers."""
    return service.http.post("/predict", json=PENGUIN, headers={k.replace("_", "-"): v for k, v in headers.items()})


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


def test_requests_without_a_valid_key_are_refused(publisher: Publisher, start: Start) -> None:
    service = started(publisher, start, SERVING_API_KEYS="first, second")
    for path in ("/model", "/model/history", "/model/points"):
        assert service.http.get(path).status_code == 401
        assert service.http.get(path, headers={"X-API-Key": "second"}).status_code == 200
    for path in ("/", "/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs"):
        assert service.http.get(path).status_code == 200
    assert [predict(service, X_API_Key=key).status_code for key in ("first", "second")] == [200, 200]
    for wrong in ("", "firs", "first2", "FIRST", "first,", "first, second"):
        refused = predict(service, X_API_Key=wrong)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'ApiKey header="X-API-Key"')
        assert refused.json() == {"detail": "this needs an API key: send it in the header X-API-Key"}
    assert "first" not in service.log


def test_keys_are_rotated_without_restart(publisher: Publisher, start: Start, tmp_path: Path) -> None:
    (keys := tmp_path / "keys").write_text("old\n")
    service = started(publisher, start, SERVING_API_KEYS_FILE=keys, SERVING_API_KEYS="fixed")

    def accepted() -> list[str]:
        return [key for key in ("fixed", "old", "new") if predict(service, X_API_Key=key).is_success]

    assert accepted() == ["fixed", "old"]
    keys.write_text("old\nnew\n")
    assert accepted() == ["fixed", "old", "new"]
    (tmp_path / "next").write_text("new")
    (tmp_path / "next").rename(keys)
    assert accepted() == ["fixed", "new"]
    keys.write_text("\n")
    assert accepted() == ["fixed", "new"]
    keys.unlink()
    assert accepted() == ["fixed", "new"]
    assert service.log.count("keys.unreadable") == 2
    keys.write_text("old")
    assert accepted() == ["fixed", "old"]


def test_requests_above_the_limit_are_refused(publisher: Publisher, start: Start) -> None:
    service = started(publisher, start, SERVING_MAX_REQUESTS=1)
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.http.base_url.port or 0)) as client:
        client.sendall(head)
        refused = until(lambda: (r := predict(service)).status_code == 503 and r, "a refusal")
        assert (refused.json()["reason"], refused.headers["retry-after"]) == ("overloaded", "1")
        assert service.http.get("/health/ready").is_success
    until(lambda: predict(service).is_success, "the end of the first request")


def test_slow_body_is_refused(publisher: Publisher, start: Start) -> None:
    service = started(publisher, start, SERVING_BODY_SECONDS=0.2)
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", service.http.base_url.port or 0)) as client:
        client.sendall(head)
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"the body wasn't whole after 0.2 s of waiting" in answer


def sample(service: Service, name: str) -> float:
    """Return the value of one metric."""
    lines = service.http.get("/metrics").text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name), 0)


def test_requests_and_predictions_are_counted(publisher: Publisher, start: Start) -> None:
    service = started(publisher, start)
    assert service.predict([PENGUIN] * 3).is_success
    assert predict(service).is_success
    assert service.predict({}).status_code == 422
    service.http.get("/made/up")
    service.http.request("PROPFIND", "/predict")
    assert sample(service, 'penguins_requests_total{method="POST",route="/predict",status="200"}') == 2
    assert sample(service, 'penguins_requests_total{method="POST",route="/predict",status="422"}') == 1
    assert sample(service, 'penguins_requests_total{method="GET",route="other",status="404"}') == 1
    assert sample(service, 'penguins_requests_total{method="other",route="/predict",status="405"}') == 1
    assert sample(service, 'penguins_request_seconds_count{route="/predict"}') == 4
    assert sample(service, 'penguins_predictions_total{species="Adelie",version="1"}') == 4


def test_metrics_report_the_state(publisher: Publisher, start: Start, line: Any) -> None:
    service = started(publisher, start)
    service.polled("up_to_date")
    assert sample(service, 'penguins_model{engine="onnxruntime",version="1"}') == 1
    assert sample(service, 'penguins_reloads_total{outcome="swapped"}') == 1
    assert sample(service, "penguins_ready") == sample(service, "penguins_cache_ok") == 1
    assert 0 <= sample(service, "penguins_poll_age_seconds") < 60
    line.cut()
    service.polled("unavailable")
    age = sample(service, "penguins_poll_age_seconds")
    until(lambda: sample(service, "penguins_poll_age_seconds") > age, "the age of the last answer to grow")
    assert sample(service, 'penguins_polls_total{outcome="unavailable"}') >= 1


def test_log_is_json_with_the_request_id(publisher: Publisher, start: Start) -> None:
    service = started(publisher, start, SERVING_ACCESS_LOG="true")
    predict(service, X_Request_Id="trace-1")
    until(lambda: "trace-1" in service.log, "the log line of the request")
    lines = [json.loads(line) for line in service.log.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    (access,) = [line for line in lines if line.get("request_id") == "trace-1"]
    assert (access["method"], access["path"], access["status"]) == ("POST", "/predict", 200)
    assert access["milliseconds"] > 0


def test_history_lists_the_serving_periods(publisher: Publisher, start: Start) -> None:
    service = started(publisher, start)
    publisher.promote(second := publisher.publish(forest(1)))
    service.serves(second)
    history = service.http.get("/model/history").json()
    assert history["process"] == service.process.pid
    latest, first = history["served"]
    assert (latest["version"], latest["until"]) == (second, None)
    assert (first["version"], first["until"]) == ("1", latest["since"])
    assert first["since"] < first["until"]


def test_several_workers_follow_the_registry(publisher: Publisher, start: Start) -> None:
    service = started(publisher, start, SERVING_WORKERS=2)
    base_url = service.http.base_url

    def versions() -> dict[int, str]:
        """Return the version of each worker, by process id; each request opens a new connection."""
        found = {}
        for _ in range(20):
            history = httpx.get(f"{base_url}/model/history").json()
            found[history["process"]] = history["served"][0]["version"] if history["served"] else ""
        return found

    until(lambda: sorted(versions().values()) == ["1", "1"], "both workers to serve")
    publisher.promote(second := publisher.publish(forest(1)))
    until(lambda: sorted(versions().values()) == [second, second], "both workers to swap")
    assert service.status()["cache_error"] is None
    threads = [threading.Thread(target=lambda: httpx.post(base_url.join("/predict"), json=PENGUIN)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sample(service, f'penguins_predictions_total{{species="Adelie",version="{second}"}}') == 20
    service.process.terminate()
    assert service.process.wait(timeout=10) == 0
    assert "Traceback" not in service.log


@pytest.mark.parametrize("path", ["/", "/health/live", "/health/ready"])
def test_head_requests_are_answered(service: Service, path: str) -> None:
    response = service.http.head(path)
    assert (response.status_code, response.content) == (200, b"")


def test_host_header_causes_no_redirect(service: Service) -> None:
    assert service.http.get("/model/", headers={"Host": "elsewhere.example"}).status_code == 404

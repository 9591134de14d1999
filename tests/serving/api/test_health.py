"""Liveness and readiness."""

from pathlib import Path

import pytest

from local.waiting import until
from tests.serving.api.conftest import Start, started
from tests.serving.line import Line
from tests.serving.publisher import Publisher, forest
from tests.serving.reload.test_watcher import MODEL, truncate
from tests.serving.service import Service


@pytest.mark.parametrize("path", ["/", "/health/live", "/health/ready"])
def test_head_requests_are_answered(service: Service, path: str) -> None:
    response = service.http.head(path)
    assert (response.status_code, response.content) == (200, b"")


def test_service_without_a_model_is_live_but_not_ready(start: Start) -> None:
    service = start()
    service.polled("no_production")
    assert service.http.get("/health/live").json() == {"status": "live"}
    response = service.http.get("/health/ready")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {"reason": "no_production", "detail": "not ready: GET /model and the log say why"}
    status = service.status()
    assert (status["status"], status["model"], status["refused"]) == ("waiting", None, None)
    assert status["reason"] == status["last_poll"]["detail"]


def test_readiness_tells_strangers_no_details(publisher: Publisher, start: Start, line: Line, tmp_path: Path) -> None:
    with started(publisher, start) as service:
        service.serves("1")
    line.cut()
    (index,) = tmp_path.glob("cache/*/index.json")
    index.write_text('{"current": 1, "previous": 2}')
    next(tmp_path.glob("cache/*/*/release.json")).write_text("{}")
    service = start(SERVING_API_KEYS="secret")
    owner = {"X-API-Key": "secret"}
    until(lambda: service.http.get("/model", headers=owner).json()["last_poll"], "the first poll")
    response = service.http.get("/health/ready")
    assert (response.status_code, response.json()["reason"]) == (503, "unavailable")
    assert response.json()["detail"] == "not ready: GET /model and the log say why"
    error = service.http.get("/model", headers=owner).json()["cache_error"]
    assert str(index.parent) in error
    assert "current: Input should be a valid string (and 1 more)" in error
    assert "\n" not in error


def test_a_setting_says_whether_a_refused_version_is_ready(publisher: Publisher, start: Start) -> None:
    tolerant = started(publisher, start)
    strict = start(SERVING_READY_WHILE_REFUSED="false")
    strict.serves("1")
    publisher.promote(version := publisher.publish(forest(), after=truncate(MODEL)))
    for service in (tolerant, strict):
        service.refuses(version)
        assert service.predict().json()["model_version"] == "1"
    assert tolerant.http.get("/health/ready").json() == {"status": "ready", "model_version": "1"}
    response = strict.http.get("/health/ready")
    assert (response.status_code, response.json()["reason"]) == (503, "digest_mismatch")
    publisher.promote("1")
    until(lambda: strict.http.get("/health/ready").is_success, "the service to be ready")


def test_a_setting_says_how_long_the_registry_may_be_silent(publisher: Publisher, start: Start, line: Line) -> None:
    started(publisher, start)
    service = start(SERVING_READY_SILENCE_SECONDS=2)
    service.serves("1")
    line.cut()
    restarted = start(SERVING_READY_SILENCE_SECONDS=2)
    for silent in (service, restarted):
        reason = until(lambda s=silent: s.http.get("/health/ready").json().get("reason"), "the service to be unready")
        assert reason == "registry_silent"
        assert silent.predict().is_success
    line.restore()
    for heard in (service, restarted):
        until(lambda s=heard: s.http.get("/health/ready").is_success, "the service to be ready")

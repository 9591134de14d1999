"""Liveness and readiness."""

import pytest

from tests.serving.api.conftest import Start
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
    assert response.json()["reason"] == "no_production"
    status = service.status()
    assert (status["status"], status["model"], status["refused"]) == ("waiting", None, None)
    assert status["reason"] == status["last_poll"]["detail"]

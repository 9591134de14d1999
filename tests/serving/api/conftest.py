"""A service with a version in Production."""

from collections.abc import Callable
from typing import Any

import httpx

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


def sample(service: Service, name: str) -> float:
    """Return the value of one metric."""
    lines = service.http.get("/metrics").text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name), 0)

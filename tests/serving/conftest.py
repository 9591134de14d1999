"""Fixtures of the service: a registered model, a cache and services for each test, on the MLflow of the stack."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sklearn.ensemble import RandomForestClassifier

from local.stack import Stack
from tests.serving.cached import store
from tests.serving.line import Line
from tests.serving.publisher import Publisher, forest
from tests.serving.service import Service


@pytest.fixture(scope="session")
def mlflow_url(stack: Stack) -> str:
    """The MLflow server that the service follows, with its database and its S3."""
    return stack.urls["mlflow"]


@pytest.fixture
def publisher(mlflow_url: str, request: pytest.FixtureRequest) -> Publisher:
    """A separate registered model for this test."""
    return Publisher(mlflow_url, re.sub(r"\W+", "_", request.node.name))


@pytest.fixture
def line(mlflow_url: str) -> Iterator[Line]:
    """A network line between the service and MLflow."""
    target = urlsplit(mlflow_url)
    assert target.hostname
    assert target.port
    with Line(target.hostname, target.port) as line:
        yield line


@pytest.fixture(scope="session")
def model() -> RandomForestClassifier:
    """The model that `service` serves."""
    return forest()


@pytest.fixture(scope="session")
def service(
    mlflow_url: str, model: RandomForestClassifier, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service with `model` as version 1, for tests that only send requests."""
    publisher = Publisher(mlflow_url, "asked")
    version = publisher.publish(model)
    publisher.promote(version)
    folder: Path = tmp_path_factory.mktemp("service")
    own = {"MLFLOW_TRACKING_URI": mlflow_url, "SERVING_MODEL_NAME": "asked", "SERVING_CACHE_DIR": folder}
    with Service(folder, **own, SERVING_POLL_SECONDS=5) as service:
        service.serves(version)
        yield service
        assert service.predict().is_success
        assert [line for line in service.log.splitlines() if json.loads(line)["level"] == "ERROR"] == []


@pytest.fixture
def start(publisher: Publisher, line: Line, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start a service for the test's model, connected to MLflow through `line`; settings by keyword."""
    with ExitStack() as running:

        def start_service(*command: str, **settings: Any) -> Service:
            own = {
                "MLFLOW_TRACKING_URI": line.url,
                "SERVING_MODEL_NAME": publisher.model_name,
                "SERVING_CACHE_DIR": tmp_path / "cache",
            }
            return running.enter_context(Service(tmp_path, *command, **own | settings))

        yield start_service


@pytest.fixture
def cached(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start a service with a version in its cache and without MLflow; settings by keyword."""
    own = store(tmp_path / "cache")
    with ExitStack() as running:

        def start_service(**settings: Any) -> Service:
            return running.enter_context(Service(tmp_path, **own | {"SERVING_POLL_SECONDS": 60} | settings))

        yield start_service

"""The service that the clients ask."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import mixed
from tests.serving.cached import store
from tests.serving.service import Service


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cached versions of two models."""
    made = tmp_path_factory.mktemp("clients")
    store(made / "cache")
    store(made / "cache", "grapes", files=mixed.files())
    return made


@pytest.fixture(scope="package")
def spool(folder: Path) -> Path:
    """The folder of the prediction log."""
    return folder / "spool"


@pytest.fixture(scope="package")
def service(folder: Path, spool: Path) -> Iterator[Service]:
    """A service of the models penguins_rf and grapes, with a log."""
    settings = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "SERVING_CACHE_DIR": folder / "cache"}
    models = "penguins_rf,grapes"
    with Service(folder, **settings, SERVING_MODELS=models, SERVING_LOG_DIR=spool, SERVING_POLL_SECONDS=60) as started:
        yield started


@pytest.fixture(scope="package")
def url(service: Service) -> str:
    """The address of the service."""
    return str(service.http.base_url)

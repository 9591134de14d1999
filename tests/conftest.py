"""What every test may use: a real stack on free ports, started when first needed."""

import signal
from collections.abc import Iterator

import pytest

from local.settings import Settings
from local.stack import Stack


def pytest_configure() -> None:
    """Let SIGINT end what tests start, also where a shell runs them in the background and so ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """PostgreSQL, S3 and MLflow. Tests that need more of it start it themselves."""
    with Stack(Settings.on_free_ports(tmp_path_factory.mktemp("stack"))).running("mlflow") as running:
        yield running

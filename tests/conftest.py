"""What every test may use: a real stack on free ports, started when first needed."""

from collections.abc import Iterator

import pytest

from local.settings import Settings
from local.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """PostgreSQL, S3 and MLflow. Tests that need more of it start it themselves."""
    with Stack(Settings.on_free_ports(tmp_path_factory.mktemp("stack"))).running("mlflow") as running:
        yield running

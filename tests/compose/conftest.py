from collections.abc import Iterator

import pytest

from local import ports
from local.waiting import until
from tests.compose.stack import ComposeStack, running
from tests.e2e.conftest import first_run as first_run
from tests.e2e.conftest import second_run as second_run
from tests.e2e.deployment import DAG, Deployment, Made

ports.FREE_RANGE = range(30_000, 32_000)  # not those of `make test`, which may run beside


@pytest.fixture(scope="session")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    """The stack in containers."""
    with running(tmp_path_factory.mktemp("compose")) as stack:
        yield stack


@pytest.fixture(scope="session")
def deployment(compose: ComposeStack) -> Deployment:
    """The stack in containers as a `Deployment`, with the DAG parsed."""
    started = compose.deployment()
    until(lambda: started.airflow.has_dag(DAG), "the DAG to be parsed")
    return started


@pytest.fixture(scope="session")
def made(deployment: Deployment) -> Made:
    """The first run of the DAG in the containers."""
    return deployment.make()

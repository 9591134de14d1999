from collections.abc import Iterator

import pytest

from local.pipeline import DAG
from local.waiting import until
from tests.e2e.deployment import Deployment, embedded


@pytest.fixture(scope="package")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The stack under test, with the DAG in it."""
    with embedded(tmp_path_factory.mktemp("e2e")) as started:
        until(lambda: started.airflow.has_dag(DAG), "the DAG to be parsed")
        yield started


@pytest.fixture(scope="package")
def first_run(deployment: Deployment) -> str:
    """A run of the DAG with its defaults that has succeeded; its id."""
    run, states = deployment.run()
    assert set(states.values()) == {"success"}, states
    return run

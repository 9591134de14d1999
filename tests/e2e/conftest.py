from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from examples.contracts import tables
from local.stack import Stack
from local.waiting import until
from tests.commands import command
from tests.e2e.deployment import DAG, Deployment, Made, embedded, in_production
from tests.e2e.examples import example
from tests.receiver import Receiver


@pytest.fixture(scope="session")
def deployment(whole: Stack, tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Deployment:
    """The stack under test, with the DAG parsed."""
    started = embedded(whole, tmp_path_factory.mktemp("e2e"), receiver)
    until(lambda: started.airflow.has_dag(DAG), "the DAG to be parsed")
    return started


@pytest.fixture(scope="session")
def first_run(made: Made) -> str:
    """Id of a successful run of the DAG with its defaults."""
    return made.run


@pytest.fixture(scope="session")
def second_run(deployment: Deployment, first_run: str) -> tuple[str, str, str]:
    """A second successful run, in two shards: its id, and the version in Production before and after.

    Its candidates are the model in Production, and models that are smaller or have larger leaves.
    """
    del first_run
    before = in_production(deployment.mlflow)
    params = deployment.params_of(before)
    size = params.pop("n_estimators")
    grid = {name: [value] for name, value in params.items()} | {"min_samples_split": [2, 5]}
    grid["n_estimators"] = list(range(size - 9, size + 1))
    run, states = deployment.run(shards=2, grid=grid)
    assert set(states.values()) == {"success"}, states
    return run, before.number, in_production(deployment.mlflow).number


@pytest.fixture(scope="session")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tables of the examples."""
    return tables.write(tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="session")
def trained(whole: Stack, made: Made, contracts_folder: Path, paths: dict[str, Path]) -> Callable[[str], str]:
    """Add the contract of an example and train on its table by `make run`, once; return the output."""
    del made

    @cache
    def train(name: str) -> str:
        contract = example(name)
        assert f"/data/{name}.csv" in contract
        (contracts_folder / f"{name}.yaml").write_text(contract.replace(f"/data/{name}.csv", str(paths[name])))
        done = command(whole.config.settings, "run", f"--contract={name}")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return train

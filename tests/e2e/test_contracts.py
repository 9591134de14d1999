"""The examples, from a file that the stack has never seen to an answer, without a restart."""

import json
from pathlib import Path

import pytest

from examples.contracts import tables
from local.settings import REPO
from local.stack import Stack
from tests.commands import command
from tests.e2e.deployment import PENGUIN, Deployment, Made

GRID = "grid: {n_estimators: [2, 4, 6, 8, 10], max_depth: [1, 2, 3, 4]}"
ROWS = {"wine": 178, "breast_cancer": 569, "penguins_mixed": 344}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tables of the examples."""
    return tables.write(tmp_path_factory.mktemp("tables"))


def example(name: str) -> str:
    """Return the contract of an example, with a few small candidates."""
    contract = (REPO / "examples" / "contracts" / f"{name}.yaml").read_text()
    assert "estimator: auto" in contract
    return contract.replace("estimator: auto", f"estimator: random_forest\n      {GRID}")


def check_answer(deployment: Deployment, made: Made, name: str, output: str) -> None:
    """Check the table of an example, the answer at the end of an output, and that the penguins are as before."""
    answer = json.loads(output[output.index("\n{") : output.index("\n}") + 2])
    (best,) = answer[tables.TARGETS[name]]
    assert answer["model_version"] == "1"
    assert answer["probabilities"][0][best] == max(answer["probabilities"][0].values())
    assert deployment.query(f"SELECT count(*) FROM {name}_raw") == [(ROWS[name],)]  # noqa: S608
    # The penguins have their model and their DAG still.
    assert deployment.service.predict(PENGUIN)["species"] == made.answer["species"]
    assert deployment.airflow.has_dag("penguins_training")
    assert deployment.query("SELECT count(*) FROM penguins_raw") == [(344,)]


@pytest.mark.parametrize("name", tables.TARGETS)
def test_a_new_table_is_trained_on_and_served(
    whole: Stack, deployment: Deployment, made: Made, contracts_folder: Path, paths: dict[str, Path], name: str
) -> None:
    contract = example(name)
    assert f"/data/{name}.csv" in contract
    (contracts_folder / f"{name}.yaml").write_text(contract.replace(f"/data/{name}.csv", str(paths[name])))
    done = command(whole.config.settings, "run", f"--contract={name}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 candidates" in done.stdout
    assert f"curl {whole.urls['api']}/models/{name}/predict -H" in done.stdout
    check_answer(deployment, made, name, done.stdout)

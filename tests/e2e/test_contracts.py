"""Tables that the stack has never seen, from a file to an answer, by the commands of docs/how-to/your-table.md."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from palmerpenguins import load_penguins
from sklearn.datasets import load_breast_cancer, load_wine

from local.clients.service import Service
from local.settings import REPO
from local.stack import Stack
from tests.commands import command
from tests.e2e.deployment import PENGUIN, Deployment, Made

GRID = "grid: {n_estimators: [2, 4, 6, 8, 10], max_depth: [1, 2, 3, 4]}"


def wine() -> pd.DataFrame:
    """13 numbers, one with a slash in its name, and 3 classes, with the index that pandas writes."""
    data = load_wine(as_frame=True)
    return data.data.assign(cultivar=[str(data.target_names[label]) for label in data.target])


def breast_cancer() -> pd.DataFrame:
    """30 numbers with spaces in their names, and 2 classes."""
    data = load_breast_cancer(as_frame=True)
    return data.data.assign(diagnosis=[str(data.target_names[label]) for label in data.target])


def mixed() -> pd.DataFrame:
    """Numbers, categories, a boolean, and missing values."""
    return load_penguins().assign(heavy=lambda table: table["body_mass_g"] > 4000)


@pytest.mark.parametrize(
    ("load", "target", "classes"),
    [
        (wine, "cultivar", {"class_0", "class_1", "class_2"}),
        (breast_cancer, "diagnosis", {"malignant", "benign"}),
        (mixed, "island", {"Biscoe", "Dream", "Torgersen"}),
    ],
)
def test_two_commands_take_a_new_table_to_an_answer(
    whole: Stack, deployment: Deployment, made: Made, contracts_folder: Path, tmp_path: Path, load, target, classes
) -> None:
    name, table = load.__name__, load()
    table.to_csv(tmp_path / f"{name}.csv")
    draft = ["-m", "penguins.contracts", "draft", f"--from={tmp_path / f'{name}.csv'}", f"--target={target}", "--name="]
    variables = os.environ | {"PYTHONPATH": "plugins"}
    subprocess.run([sys.executable, *draft], cwd=REPO, env=variables, check=True, capture_output=True)
    contract = contracts_folder / f"{name}.yaml"
    contract.write_text(contract.read_text().replace("estimator: auto", f"estimator: random_forest\n      {GRID}"))
    done = command(whole.config.settings, "run", f"--contract={name}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 candidates" in done.stdout
    assert f"curl {whole.urls['api']}/models/{name}/predict -H" in done.stdout
    answer = json.loads(done.stdout[done.stdout.index("\n{") : done.stdout.index("\n}") + 2])
    assert answer["model_version"] == "1"
    assert set(answer["probabilities"][0]) == classes
    assert answer[target][0] in classes
    assert deployment.query(f"SELECT count(*) FROM {name}_raw") == [(len(table),)]  # noqa: S608
    (second,) = deployment.query(f"SELECT count(DISTINCT {target}) FROM {name}_processed")  # noqa: S608
    assert second == (len(classes),)
    # The penguins have their model still, and Airflow has both DAGs.
    assert Service(whole.urls["api"]).predict(PENGUIN)["species"] == made.answer["species"]
    assert deployment.airflow.has_dag("penguins_training")
    assert deployment.airflow.has_dag(f"{name}_training")

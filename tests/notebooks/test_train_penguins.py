"""The notebook, every cell of it, on a real stack."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import psycopg
import pytest
from nbclient import NotebookClient

from examples.contracts import tables
from local import contracts, environment
from local.clients.mlflow import Mlflow
from local.clients.service import Service
from local.settings import REPO
from local.stack import Stack
from tests.e2e.deployment import EXPERIMENT, MODEL

NOTEBOOK = REPO / "notebooks/train_penguins.ipynb"
QUICK = (
    "GRID = TRAINING.grid or estimators.estimator(ESTIMATOR).grid",
    'GRID = {"n_estimators": [5, 10, 20], "max_depth": [None, 4, 8, 12], "min_samples_split": [2, 5]}',
)


@pytest.fixture(scope="module")
def executed(stack: Stack) -> Iterator[nbformat.NotebookNode]:
    """The notebook after its first run, on a stack without earlier runs."""
    for program in ("api", "shipper"):
        stack.start(program)
    yield execute(stack)
    for program in ("api", "shipper"):
        stack.stop(program)


def execute(stack: Stack, *edits: tuple[str, str]) -> nbformat.NotebookNode:
    """Run every cell, in the environment that JupyterLab gets, after edits: texts in the place of others.

    Raises CellExecutionError when a cell fails.
    """
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for old, new in edits:
        (cell,) = (cell for cell in code_cells(notebook) if old in cell.source)
        cell.source = cell.source.replace(old, new)
    folder = stack.config.layout.jupyter
    variables = environment.inherited(stack.config) | environment.notebook(stack.config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_DATA_DIR", str(folder / "data"))  # leave out the user's own kernels
        client = NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(NOTEBOOK.parent)}})
        client.execute(env=variables | {"IPYTHONDIR": str(folder / "ipython")})
    return notebook


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook: nbformat.NotebookNode) -> str:
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return "\n".join(output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs)


def run_name(notebook: nbformat.NotebookNode) -> str:
    names = [line.strip("'") for line in texts(notebook).splitlines() if line.startswith("'notebook__")]
    assert len(names) == 1
    return names[0]


def test_the_notebook_goes_from_the_raw_data_to_the_prediction(stack, executed):
    with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"]) as connection:
        assert connection.execute("SELECT count(*) FROM penguins_raw").fetchone() == (344,)
        assert connection.execute("SELECT count(*) FROM penguins_processed").fetchone() == (342,)
    mlflow = Mlflow(stack.urls["mlflow"])
    assert len(mlflow.children(EXPERIMENT, run_name(executed))) == 24
    version = mlflow.version_of(MODEL, run_name(executed))
    assert version is not None
    assert version == mlflow.production(MODEL)
    assert Service(stack.urls["api"]).version() == version.number
    assert f"predicts with version {version.number}, by onnxruntime" in texts(executed)


def test_the_notebook_shows_tables_and_plots(executed):
    kinds = [set(output.get("data", {})) for cell in code_cells(executed) for output in cell.outputs]
    assert sum("image/png" in kind for kind in kinds) == 6
    assert sum("text/html" in kind for kind in kinds) == 4


def test_the_notebook_shows_no_warning_and_no_secret(stack, executed):
    outputs = [output for cell in code_cells(executed) for output in cell.outputs]
    assert [output for output in outputs if output.get("name") == "stderr"] == []
    secrets = [value for name, value in stack.config.credentials if name != "s3_access_key"]
    assert not [secret for secret in secrets if secret in nbformat.writes(executed)]


def test_a_second_run_of_the_notebook_keeps_the_champion(stack, executed):
    again = execute(stack, QUICK, ("FOLDS = TRAINING.folds", "FOLDS = 2"))
    mlflow = Mlflow(stack.urls["mlflow"])
    champion = mlflow.production(MODEL)
    assert champion == mlflow.version_of(MODEL, run_name(executed))
    challenger = mlflow.version_of(MODEL, run_name(again))
    assert challenger is not None
    assert challenger.tags["reason"].startswith("not better than version 1")
    assert "promoted=False" in texts(again)


@pytest.mark.usefixtures("executed")
def test_the_notebook_trains_on_the_table_of_another_contract(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "penguins_mixed"
    text = (REPO / "examples" / "contracts" / f"{name}.yaml").read_text()
    (tmp_path / f"{name}.yaml").write_text(text.replace(f"/data/{name}.csv", str(tables.write(tmp_path)[name])))
    monkeypatch.setenv("PENGUINS_CONTRACTS_DIR", str(tmp_path))
    contracts.serve(stack.config, name)
    done = execute(
        stack, ('CONTRACT = "penguins"', f'CONTRACT = "{name}"'), QUICK, ("FOLDS = TRAINING.folds", "FOLDS = 2")
    )
    assert "The service predicts with version 1, by onnxruntime" in texts(done)
    assert "24 candidates of random_forest" in texts(done)
    with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"]) as connection:
        ((logged,),) = connection.execute("SELECT count(*) FROM log.predictions WHERE model = %s", [name]).fetchall()
    assert logged > 60


def test_the_notebook_is_for_python_3_and_has_only_loopback_addresses():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    sources = "\n".join(cell.source for cell in notebook.cells)
    assert sources.count("://") == sources.count("http://127.0.0.1:{")

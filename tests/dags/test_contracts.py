"""The DAGs that the DAG file makes of the contracts."""

import runpy
from collections.abc import Iterator
from typing import Any

import pytest

from local.settings import REPO
from penguins.airflow.task_errors import Refused
from penguins.settings import settings

TASKS = ["load_raw", "preprocess", "grid_train", "register_best"]


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


def parse() -> dict[str, Any]:
    """Run the DAG file, and return its DAGs by their names."""
    found = runpy.run_path(str(REPO / "dags" / "penguins_training.py"))
    return {name: value for name, value in found.items() if name == getattr(value, "dag_id", None)}


def start_of(monkeypatch: pytest.MonkeyPatch, dag: str, task: str) -> None:
    """Let Airflow say that the file is parsed for the start of a task."""
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", dag)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", task)


def reason_of(dag: Any, task: str) -> str:
    """Run the task of a DAG that can't be used, and return the message that it fails with."""
    with pytest.raises(Refused) as refused:
        dag.get_task(task).python_callable()
    return str(refused.value)


def test_the_penguins_dag_has_its_names_tasks_and_documentation() -> None:
    (dag,) = parse().values()
    assert (dag.dag_id, dag.dag_display_name) == ("penguins_training", "Penguins: train and promote")
    assert [task.task_id for task in dag.topological_sort()] == TASKS
    assert dag.doc_md.strip().startswith("### Penguins: from raw measurements to the model in Production\n")
    for name in (
        "`penguins_raw`",
        "`penguins_rejected`",
        "`penguins_experiment`",
        "`penguins_rf`",
        "encodes the species",
    ):
        assert name in dag.doc_md
    defaults = dag.params.dump()
    assert (defaults["source"], defaults["estimator"], defaults["cv_folds"]) == ("palmerpenguins", "random_forest", 5)
    assert defaults["holdout_share"] == 0.2


def test_a_contract_that_airflow_cannot_use_is_a_dag_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENGUINS_SCHEDULE", "every full moon")
    (dag,) = parse().values()
    assert (dag.dag_id, dag.task_ids) == ("penguins_training", ["read_contract"])
    assert "every full moon" in reason_of(dag, "read_contract")
    assert "every full moon" in dag.doc_md


def test_a_schedule_needs_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENGUINS_DATA_SOURCE", "")
    (dag,) = parse().values()
    assert "its schedule '@weekly' needs a source" in reason_of(dag, "read_contract")
    monkeypatch.setenv("PENGUINS_SCHEDULE", "")
    settings.cache_clear()
    (dag,) = parse().values()
    assert set(dag.task_ids) == set(TASKS)
    assert not dag.params.get_param("source").has_value


def test_a_task_tells_that_its_contract_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    start_of(monkeypatch, "wine_training", "grid_train")
    (dag,) = parse().values()
    assert (dag.dag_id, dag.task_ids) == ("wine_training", ["grid_train"])
    assert "there is no contract 'wine'" in reason_of(dag, "grid_train")

"""The DAGs that the DAG file makes of the contracts."""

import os
import runpy
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.timetables.base import TimeRestriction

from local.settings import REPO
from penguins.airflow.task_errors import Refused
from penguins.settings import settings
from tests import schedules
from tests.contract.odcs.conftest import WINE, folder

__all__ = ["folder"]

TASKS = ["load_raw", "preprocess", "grid_train", "register_best"]
WATCHING = {"log_arrived", "judge", "raise_alarm", "retrain", "judge_shadow"}
MONITORING = "  - property: monitoring\n    value:\n"


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


def parse(purpose: str = "training") -> dict[str, Any]:
    """Run a DAG file, and return its DAGs by their names."""
    found = runpy.run_path(str(REPO / "dags" / f"penguins_{purpose}.py"))
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


def test_no_contract_makes_what_the_database_of_airflow_refuses(folder: Path) -> None:
    (folder / "odd.yaml").write_text(WINE.replace("version: 1.0.0\n", 'version: 1.0.0\n"a\\0b": 1\n'))
    (folder / os.fsdecode(b"\xff.yaml")).symlink_to("nowhere")
    (folder / "long.yaml").write_text(
        WINE.replace("  - name: wine\n", f"  - name: long\n    businessName: {'W' * 1990}\n")
    )
    found = parse()
    assert set(found) == {"penguins_training", "wine_training", "odd_training", "long_training", "__training"}
    for dag in found.values():
        assert "\0" not in dag.doc_md.encode().decode()  # no half of a surrogate pair, either
        assert len(dag.dag_display_name) <= 2000


@pytest.mark.usefixtures("folder")
def test_every_contract_has_a_dag_with_its_own_names() -> None:
    dags = parse()
    assert list(dags) == ["penguins_training", "wine_training"]
    wine = dags["wine_training"]
    assert [task.task_id for task in wine.topological_sort()] == TASKS
    assert (wine.dag_display_name, wine.tags) == ("Wine: train and promote", {"wine", "training"})
    for name in ("`wine_raw`", "`wine_processed`", "`wine_rejected`", "encodes the cultivar"):
        assert name in wine.doc_md
    assert "penguins" not in wine.doc_md.lower()
    assert wine.params.dump()["estimator"] == "auto"
    assert not wine.params.get_param("source").has_value


def test_the_model_s_part_of_a_contract_decides_the_dag(folder: Path) -> None:
    more = """\
      schedule: "@monthly"
      source: s3://bucket/wine.csv
      estimator: logistic_regression
      grid: {C: [0.1, 1.0]}
      folds: 3
      holdoutShare: 0.3
"""
    (folder / "wine.yaml").write_text(WINE.replace("      experiment: wine\n", f"      experiment: wine\n{more}"))
    dag = parse()["wine_training"]
    assert dag.timetable.timetable.expression == "0 0 1 * *"
    expected = {
        "source": "s3://bucket/wine.csv",
        "estimator": "logistic_regression",
        "grid": {"C": [0.1, 1.0]},
        "cv_folds": 3,
        "holdout_share": 0.3,
    }
    assert {name: dag.params.dump()[name] for name in expected} == expected


def test_a_broken_contract_says_why_and_harms_no_other(folder: Path) -> None:
    spoilt = WINE.replace("logicalType: date", "logicalType: dat").replace("minAccuracy: 0.5", "minAccuracy: 5")
    (folder / "more wine.yaml").write_text(spoilt)
    (folder / "zweigelt.yaml").write_text(
        WINE.replace("name: wine", "name: zweigelt").replace("id: wine", "id: zweigelt")
    )
    dags = parse()
    assert set(dags) == {"penguins_training", "wine_training", "more_wine_training", "zweigelt_training"}
    assert set(dags["wine_training"].task_ids) == set(dags["penguins_training"].task_ids) == set(TASKS)
    reason = reason_of(dags["more_wine_training"], "read_contract")
    assert {"logicalType", "minAccuracy"} <= {word.strip("':,") for word in reason.replace(".", " ").split()}
    assert len(reason.splitlines()) >= 2
    assert all(f"    {line}" in dags["more_wine_training"].doc_md for line in reason.splitlines())
    assert "is that of the contract 'wine'" in reason_of(dags["zweigelt_training"], "read_contract")


def test_the_later_of_two_contracts_with_one_experiment_says_so(folder: Path) -> None:
    text = WINE.replace("name: wine", "name: xarello").replace("id: wine", "id: xarello")
    (folder / "xarello.yaml").write_text(text.replace("registeredModel: wine", "registeredModel: xarello"))
    dags = parse()
    assert set(dags["wine_training"].task_ids) == set(dags["penguins_training"].task_ids) == set(TASKS)
    (reason,) = reason_of(dags["xarello_training"], "read_contract").splitlines()
    assert reason.startswith(f"{folder}/xarello.yaml: its experiment 'wine' is that of the contract 'wine', too")
    assert f"({folder}/wine.yaml)" in reason


def test_the_start_of_a_task_reads_its_own_contract_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
    start_of(monkeypatch, "wine_training", "grid_train")
    assert list(parse()) == ["wine_training"]
    assert [path for path in opened if path.endswith(".yaml")] == [str(folder / "wine.yaml")]


def test_twenty_contracts_are_parsed_in_a_second(folder: Path) -> None:
    for purpose in ("training", "scoring", "monitoring"):
        parse(purpose)  # imports Airflow
    for number in range(20):
        text = (REPO / "contracts/penguins.yaml").read_text()
        for name in (
            "id: penguins",
            "name: penguins",
            "registeredModel: penguins_rf",
            "experiment: penguins_experiment",
        ):
            text = text.replace(name, f"{name}_{number}")
        (folder / f"penguins_{number}.yaml").write_text(text)
    for purpose, tasks in (("training", TASKS), ("scoring", ["score"]), ("monitoring", WATCHING)):
        started = time.process_time()
        dags = parse(purpose)
        assert time.process_time() - started < 1
        assert len(dags) == 22
        assert all(set(dag.task_ids) == set(tasks) for dag in dags.values())


def test_every_contract_has_a_dag_that_scores(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "odd.yaml").write_text("nonsense")
    dags = parse("scoring")
    assert list(dags) == ["penguins_scoring", "wine_scoring", "odd_scoring"]
    wine = dags["wine_scoring"]
    assert (wine.dag_display_name, wine.tags, wine.task_ids) == ("Wine: score", {"wine", "scoring"}, ["score"])
    assert not wine.timetable.can_be_scheduled
    for name in ("`wine_scored`", "`wine_scored_rejected`", "the predicted cultivar"):
        assert name in wine.doc_md
    assert not wine.params.get_param("source").has_value
    assert wine.params.dump()["table"] == "wine_scored"
    assert "odd.yaml" in reason_of(dags["odd_scoring"], "read_contract")
    monkeypatch.setenv("PENGUINS_DATA_SOURCE", "")
    settings.cache_clear()
    assert parse("scoring")["penguins_scoring"].task_ids == ["score"]  # though its schedule has no source
    start_of(monkeypatch, "wine_scoring", "score")
    assert list(parse("scoring")) == ["wine_scoring"]


def test_every_contract_has_a_dag_that_watches(folder: Path) -> None:
    (folder / "odd.yaml").write_text("nonsense")
    (folder / "wine.yaml").write_text(f"{WINE}{MONITORING}      window: 20s\n")
    dags = parse("monitoring")
    assert list(dags) == ["penguins_monitoring", "wine_monitoring", "odd_monitoring"]
    for dag in (dags["penguins_monitoring"], dags["wine_monitoring"]):
        assert {task.task_id for task in dag.tasks} == WATCHING
        assert dag.get_task("judge_shadow").upstream_task_ids == {"log_arrived"}
        assert [task.task_id for task in dag.get_task("retrain").get_flat_relatives(upstream=True)].count("judge") == 1
        assert not dag.catchup
    wine = dags["wine_monitoring"]
    assert (wine.dag_display_name, wine.tags) == ("Wine: monitor", {"wine", "monitoring"})
    assert dags["penguins_monitoring"].timetable.delta == timedelta(hours=1)
    assert wine.timetable.delta == timedelta(seconds=20)
    waits = wine.get_task("log_arrived")
    assert (waits.mode, waits.poke_interval, waits.timeout) == ("reschedule", 2, 3600)
    for name in ("`wine_alarm`", "`wine_training`", "`wine` is below"):
        assert name in wine.doc_md
    assert [each.name for each in wine.get_task("retrain").outlets] == ["wine_alarm"]
    assert not any(task.outlets for task in wine.tasks if task.task_id != "retrain")
    assert "odd.yaml" in reason_of(dags["odd_monitoring"], "read_contract")


def assets_of(dag: Any) -> list[str]:
    """Return the names of the assets whose events start a DAG."""
    condition = getattr(dag.timetable, "asset_condition", None)
    return [asset.name for asset in condition.objects] if condition else []


def test_a_training_is_started_by_time_and_by_alarms(folder: Path) -> None:
    timed = WINE.replace("      experiment: wine\n", '      experiment: wine\n      schedule: "@daily"\n')
    sourced = WINE.replace("      experiment: wine\n", "      experiment: wine\n      source: palmerpenguins\n")
    both = timed.replace("      experiment: wine\n", "      experiment: wine\n      source: palmerpenguins\n")
    for text, assets, is_timed in (
        (WINE, [], False),
        (sourced, ["wine_alarm"], False),
        (both, ["wine_alarm"], True),
        (f"{both}{MONITORING}      retrain: false\n", [], True),
        (f"{sourced}{MONITORING}      retrain: false\n", [], False),
    ):
        (folder / "wine.yaml").write_text(text)
        dag = parse()["wine_training"]
        assert assets_of(dag) == assets
        assert hasattr(getattr(dag.timetable, "timetable", dag.timetable), "expression") == is_timed
        assert dag.max_active_runs == 1


def test_no_stack_of_a_test_trains_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENGUINS_SCHEDULE", schedules.far_off())
    (dag,) = parse().values()
    timetable = decode_timetable(encode_timetable(dag.timetable))
    first = timetable.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(None, None, False)
    )
    assert first is not None
    assert first.run_after > datetime.now(UTC) + timedelta(days=100)


def test_windows_of_a_length_that_is_none_are_a_dag_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENGUINS_MONITORING_WINDOW", "5s")
    (dag,) = parse("monitoring").values()
    assert "PENGUINS_MONITORING_WINDOW" in reason_of(dag, "read_contract")

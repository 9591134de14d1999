"""The main job on the whole stack, through HTTP, SQL and S3 only."""

from typing import Any
from urllib.parse import quote

import pytest

from local.errors import StackError
from local.waiting import until
from tests import schedules
from tests.e2e.deployment import DAG, EXPERIMENT, MODEL, PENGUIN, Deployment, Made

HEADER = "species,island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,year\n"
ROW = "Adelie,Torgersen,39.1,18.7,181,3750,male,2007\n"
TASKS = ["load_raw", "preprocess", "grid_train", "register_best"]


def runs_of(deployment: Deployment, run: str) -> list[dict[str, Any]]:
    experiment = deployment.mlflow_api.get("/api/2.0/mlflow/experiments/get-by-name", experiment_name=EXPERIMENT)
    found = deployment.mlflow_api.post(
        "/api/2.0/mlflow/runs/search",
        {
            "experiment_ids": [experiment["experiment"]["experiment_id"]],
            "filter": f"tags.dag_run_id = '{run}'",
            "max_results": 1000,
        },
    )
    return list(found.get("runs", []))


def children_of(deployment: Deployment, run: str) -> list[dict[str, Any]]:
    return [found for found in runs_of(deployment, run) if "mlflow.parentRunId" in tags(found["data"])]


def tags(item: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in item.get("tags", [])}


def versions(deployment: Deployment) -> list[dict[str, Any]]:
    found = deployment.mlflow_api.get("/api/2.0/mlflow/model-versions/search", filter=f"name = '{MODEL}'")
    return list(found.get("model_versions", []))


def aliases(deployment: Deployment) -> dict[str, str]:
    found = deployment.mlflow_api.get("/api/2.0/mlflow/registered-models/get", name=MODEL)
    return {alias["alias"]: alias["version"] for alias in found["registered_model"]["aliases"]}


def point_production_at(deployment: Deployment, version: str) -> None:
    body = {"name": MODEL, "alias": "production", "version": version}
    deployment.mlflow_api.post("/api/2.0/mlflow/registered-models/alias", body)


def test_the_dag_is_documented(deployment: Deployment) -> None:
    dag = deployment.airflow_api.get(f"/api/v2/dags/{DAG}/details")
    assert (dag["is_paused"], dag["catchup"], dag["max_active_runs"]) == (False, False, 1)
    assert dag["timetable_summary"] == f"Asset or {schedules.far_off()}"
    assert "load_raw" in dag["doc_md"]
    assert set(dag["params"]) == {
        *("source", "estimator", "grid", "cv_folds", "holdout_share", "seed", "shards", "time_budget"),
        *("promotion", "approval_hours"),
    }
    assert all(param["description"] for param in dag["params"].values())


def test_a_run_goes_through_the_four_tasks_in_order(deployment: Deployment, first_run: str) -> None:
    assert deployment.task_states(first_run) == dict.fromkeys(TASKS, "success")
    assert [task.name for task in deployment.airflow.tasks(DAG, first_run)] == TASKS


@pytest.mark.usefixtures("first_run")
def test_the_tables_hold_the_penguins(deployment: Deployment) -> None:
    assert deployment.query("SELECT count(*) FROM penguins_raw") == [(344,)]
    assert deployment.query("SELECT count(*) FROM penguins_processed") == [(342,)]
    labels = "SELECT species, label FROM penguins_processed GROUP BY 1, 2 ORDER BY 2"
    assert deployment.query(labels) == [("Adelie", 0), ("Chinstrap", 1), ("Gentoo", 2)]


def test_every_candidate_is_a_run_with_its_model_in_the_bucket(deployment: Deployment, first_run: str) -> None:
    children = children_of(deployment, first_run)
    parents = [run for run in runs_of(deployment, first_run) if run not in children]
    assert (len(parents), len(children)) == (1, 24)
    for run in children:
        assert {param["key"] for param in run["data"]["params"]} == {"max_depth", "min_samples_split", "n_estimators"}
        assert {"cv_accuracy_mean", "holdout_accuracy", "holdout_f1_macro", "holdout_log_loss"} <= {
            metric["key"] for metric in run["data"]["metrics"]
        }
        (output,) = run["outputs"]["model_outputs"]
        prefix = f"{run['info']['experiment_id']}/models/{output['model_id']}/artifacts/"
        assert {"MLmodel", "model.pkl"} <= deployment.objects(prefix)
    assert {"plots/grid.png", "plots/confusion_matrix.png", "plots/importances.png"} <= deployment.objects(
        f"{parents[0]['info']['experiment_id']}/{parents[0]['info']['run_id']}/artifacts/"
    )


def test_the_best_version_is_in_production_and_serves(deployment: Deployment, made: Made) -> None:
    (version,) = [version for version in versions(deployment) if tags(version)["dag_run_id"] == made.run]
    assert (made.version.number, made.version.stage) == (version["version"], "Production")
    answer = made.answer
    assert answer["prediction"] in ([0], [1], [2])
    assert answer["species"] == [["Adelie", "Chinstrap", "Gentoo"][answer["prediction"][0]]]
    assert sum(answer["probabilities"][0].values()) == pytest.approx(1, abs=1e-3)
    assert answer["model_version"] == version["version"]


def test_a_second_run_ties_and_keeps_the_champion(
    deployment: Deployment, first_run: str, second_run: tuple[str, str, str]
) -> None:
    run, before, after = second_run
    assert run != first_run
    assert len(children_of(deployment, run)) == 20
    assert before == after
    made = deployment.mlflow.version_of(MODEL, run)
    assert made is not None
    assert "not better than version" in made.tags["reason"]


@pytest.mark.usefixtures("second_run")
def test_another_version_is_served_without_a_restart(deployment: Deployment) -> None:
    newest, oldest = (versions(deployment)[index]["version"] for index in (0, -1))
    assert newest != oldest
    identity = deployment.identity()
    for version in (newest, oldest, newest):
        point_production_at(deployment, version)
        until(lambda version=version: deployment.service.version() == version, "the swap", 30)
        assert deployment.service.predict(PENGUIN)["model_version"] == version
    assert deployment.identity() == identity
    point_production_at(deployment, oldest)


def test_clearing_a_run_creates_no_duplicates(deployment: Deployment, first_run: str) -> None:
    def everything() -> tuple[object, ...]:
        runs = sorted(run["info"]["run_id"] for run in runs_of(deployment, first_run))
        rows = deployment.query("SELECT count(*), sum(source_row), sum(body_mass_g) FROM penguins_processed")
        return runs, rows, len(versions(deployment)), aliases(deployment)["production"]

    def attempts() -> dict[tuple[str, int], int]:
        return {(task.name, task.index): task.attempt for task in deployment.airflow.tasks(DAG, first_run)}

    before, attempts_before = everything(), attempts()  # a busy machine may have retried a task
    body = {"dag_run_id": first_run, "dry_run": False, "only_failed": False, "reset_dag_runs": True}
    deployment.airflow_api.post(f"/api/v2/dags/{DAG}/clearTaskInstances", body)
    until(lambda: deployment.airflow.run_state(DAG, first_run) == "success", "the cleared run", poll=0.5)
    assert all(attempt > attempts_before[task] for task, attempt in attempts().items())
    assert everything() == before


def rows_of(deployment: Deployment, run: str) -> int:
    """Return the number of rows that preprocess of a run has kept, by its report."""
    path = f"/api/v2/dags/{DAG}/dagRuns/{quote(run)}/taskInstances/preprocess/xcomEntries/report"
    report = deployment.airflow_api.get(path, deserialize="true")["value"]
    return int(report["rows"])


@pytest.mark.usefixtures("first_run")
def test_a_cleared_task_reads_the_rows_of_its_own_run(deployment: Deployment) -> None:
    # Two files of one species, which grid_train refuses, to save the time of training.
    (run, _), (other, _) = (deployment.run(source=deployment.upload(f"{n}.csv", HEADER + ROW * n)) for n in (3, 5))
    assert (rows_of(deployment, run), rows_of(deployment, other)) == (3, 5)
    body = {"dag_run_id": run, "task_ids": ["preprocess"], "include_downstream": True, "dry_run": False}
    deployment.airflow_api.post(f"/api/v2/dags/{DAG}/clearTaskInstances", body | {"only_failed": False})
    states = deployment.end_of(run)
    assert (states["preprocess"], states["grid_train"]) == ("success", "failed")
    assert "penguins_processed has too few rows of Chinstrap (0)" in deployment.log(run, "grid_train")
    assert rows_of(deployment, run) == 3
    runs = deployment.query("SELECT run_id FROM penguins_runs")
    assert {(run,), (other,)} <= set(runs)
    assert deployment.query("SELECT count(*) FROM penguins_raw") == [(5,)]


BROKEN = {
    "wrong_column": (HEADER.replace("species", "kind") + ROW, "the header lacks 'species' and has unknown 'kind'"),
    "wrong_type": (HEADER + ROW.replace("181", "tall"), "row 1: flipper_length_mm: 'tall' is not a number"),
    "empty": ("", "the file is empty"),
    "third_broken": (HEADER + ROW * 7 + ROW.replace("3750", "x") * 3, "3 of 10 rows (30.0%) break the data contract"),
}


@pytest.mark.usefixtures("first_run")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_fails_load_raw_and_changes_nothing(deployment: Deployment, name: str) -> None:
    text, message = BROKEN[name]
    table = "SELECT count(*), sum(source_row), sum(body_mass_g), max(xmin::text) FROM penguins_raw"
    before = (aliases(deployment)["production"], deployment.query(table))
    run, states = deployment.run(source=deployment.upload(f"{name}.csv", text))
    assert states == {"load_raw": "failed", **dict.fromkeys(TASKS[1:], "upstream_failed")}
    log = deployment.log(run, "load_raw")
    assert message in log
    assert [task.attempt for task in deployment.airflow.tasks(DAG, run) if task.name == "load_raw"] == [1]
    assert "Traceback" not in log
    assert "Error:" not in log
    assert (aliases(deployment)["production"], deployment.query(table)) == before


@pytest.mark.usefixtures("first_run")
def test_an_unusable_grid_is_refused_before_training(deployment: Deployment) -> None:
    run, states = deployment.run(grid={"n_estimators": [10], "trees": [1]})
    assert states["grid_train"] == "failed"
    assert "grid: unknown hyperparameter trees. Allowed are bootstrap" in deployment.log(run, "grid_train")
    assert runs_of(deployment, run) == []


@pytest.mark.parametrize(
    "params", [{"cv_folds": 1}, {"holdout_share": 1.5}, {"seed": "x"}, {"grid": {"max_depth": 3}}, {"source": ""}]
)
def test_a_parameter_of_the_wrong_kind_is_refused_at_the_trigger(
    deployment: Deployment, params: dict[str, Any]
) -> None:
    with pytest.raises(StackError, match=f"answered 400: .*{next(iter(params))}"):
        deployment.trigger(**params)


@pytest.mark.usefixtures("first_run")
def test_an_unknown_parameter_fails_the_run_at_once_and_people_are_told(deployment: Deployment) -> None:
    run, states = deployment.run(sources="/data/penguins.csv")
    assert states == {"load_raw": "failed", **dict.fromkeys(TASKS[1:], "upstream_failed")}
    log = deployment.log(run, "load_raw")
    assert "unknown parameter 'sources' (did you mean 'source'?). A run has source, estimator, grid" in log
    assert "Traceback" not in log
    until(lambda: any(run in notice["message"] for notice in deployment.notices()), "the notice of the failed run")
    (notice,) = (notice for notice in deployment.notices() if run in notice["message"])
    assert (notice["title"], notice["type"]) == (f"{DAG} failed", "failure")
    said = f"The run {run} failed at load_raw.\nContract: penguins\n{deployment.airflow_links}/"
    assert notice["message"].startswith(said)

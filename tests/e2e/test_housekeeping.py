"""Keeping house on the whole embedded stack: the DAGs, the command, the page, and what Airflow keeps of old runs.

tests/penguins/housekeeping has the rules for MLflow's runs.
"""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest

from local.stack import Stack
from local.waiting import until
from tests import schedules
from tests.commands import command
from tests.e2e.deployment import EXPERIMENT, Deployment, Made
from tests.e2e.test_monitoring import ended

DISK, HOUSE = "penguins_disk", "penguins_housekeeping"
OLD = datetime(2010, 1, 1, tzinfo=UTC)


def run(deployment: Deployment, dag: str, **params: bool) -> str:
    """Run a DAG, and return the logs of its tasks."""
    made = deployment.airflow.trigger(dag, params)
    states = ended(deployment, dag, made)
    tasks = deployment.airflow.tasks(dag, made)
    log = "\n".join(line for task in tasks for line in deployment.airflow.task_log(dag, made, task))
    assert set(states.values()) == {"success"}, log
    return log


def airflow_database(stack: Stack) -> psycopg.Connection:
    return psycopg.connect(stack.config.database_url("airflow"), autocommit=True)


def old_run(whole: Stack, deployment: Deployment) -> str:
    """Log a run in MLflow as a training of long ago did, with a file, and return its id."""
    api, at = deployment.mlflow_api, int(OLD.timestamp() * 1000)
    experiment = api.get("/api/2.0/mlflow/experiments/get-by-name", experiment_name=EXPERIMENT)["experiment"]
    tags = [{"key": "dag_run_id", "value": "of long ago"}, {"key": "role", "value": "candidate"}]
    body = {"experiment_id": experiment["experiment_id"], "start_time": at, "tags": tags}
    made = str(api.post("/api/2.0/mlflow/runs/create", body)["run"]["info"]["run_id"])
    api.post("/api/2.0/mlflow/runs/update", {"run_id": made, "status": "FINISHED", "end_time": at})
    place = f"/api/2.0/mlflow-artifacts/artifacts/{experiment['experiment_id']}/{made}/artifacts/a.txt"
    httpx.put(f"{whole.urls['mlflow']}{place}", content=b"old").raise_for_status()
    return made


@pytest.fixture(scope="module")
def aged(whole: Stack, deployment: Deployment, made: Made) -> tuple[str, str, Path]:
    """A DAG run of long ago with its log, and a run of long ago in MLflow: their ids, and the log."""
    del made
    until(lambda: deployment.airflow.has_dag(DISK) and deployment.airflow.has_dag(HOUSE), "the DAGs to be parsed")
    schedules.wait_until_clear(deployment.airflow_api, HOUSE)  # the nightly run would delete what is made here
    dag_run = deployment.airflow.trigger(DISK, {})
    assert ended(deployment, DISK, dag_run) == {"measure": "success"}
    with airflow_database(whole) as connection:
        connection.execute("UPDATE dag_run SET start_date = %s WHERE run_id = %s", [OLD, dag_run])
        connection.execute("UPDATE task_instance SET start_date = %s WHERE run_id = %s", [OLD, dag_run])
    (folder,) = whole.config.layout.airflow.glob(f"logs/dag_id={DISK}/run_id={dag_run}")
    (log,) = (path for path in folder.rglob("*") if path.is_file())
    for path in (log, log.parent, folder):
        os.utime(path, (OLD.timestamp(), OLD.timestamp()))
    return dag_run, old_run(whole, deployment), log


def left(whole: Stack, deployment: Deployment, aged: tuple[str, str, Path]) -> list[bool]:
    """Tell whether there still are the DAG run, its log, the run in MLflow, and its file."""
    dag_run, run_id, log = aged
    with airflow_database(whole) as connection:
        found = connection.execute("SELECT count(*) FROM dag_run WHERE run_id = %s", [dag_run]).fetchone()
    in_mlflow = httpx.get(f"{whole.urls['mlflow']}/api/2.0/mlflow/runs/get", params={"run_id": run_id}).is_success
    return [found == (1,), log.exists(), in_mlflow, any(run_id in key for key in deployment.objects(""))]


def test_the_use_of_the_disk_is_on_the_page_and_in_the_metrics_and_in_status(
    whole: Stack, deployment: Deployment, aged: tuple[str, str, Path]
) -> None:
    del aged
    page = deployment.airflow_api.get("/penguins/api/disk")
    parts = page["parts"]
    assert {"database airflow", "database mlflow", "database penguins", "logs of tasks"} < set(parts)
    assert parts["models and files in S3"] > 100_000
    assert parts["database airflow"] > 5_000_000
    assert "prediction log, waiting" in parts
    assert 0 < page["free"] < page["total"]
    metrics = httpx.get(f"{whole.urls['airflow-api-server']}/penguins/metrics", timeout=60).text
    assert f'penguins_disk_used_bytes{{part="database mlflow"}} {float(parts["database mlflow"])!r}' in metrics
    assert re.search(r"^penguins_disk_low\{\} [01]\.0$", metrics, re.MULTILINE)
    shown = command(whole.config.settings, "status").stdout
    for part in ("databases", "models and files in S3", "logs", "backups"):
        assert re.search(rf"^{part} +[\d,.]+ [MG]B", shown, re.MULTILINE), shown
    assert re.search(r"[\d,.]+ [MG]B of [\d,.]+ [MG]B are free where", shown)


def test_a_run_by_hand_only_looks_unless_it_is_told_to_delete(
    whole: Stack, deployment: Deployment, aged: tuple[str, str, Path]
) -> None:
    looked = run(deployment, HOUSE)
    for what in ("1 runs of 1 DAG runs", "1 DAG runs with 1 tasks", "1 files"):
        assert re.search(rf"3650 days +would go +{what}", looked), looked
    assert "of the latest DAG run" in looked
    unset = {f"PENGUINS_{what}_RETENTION_DAYS": "" for what in ("RUN", "HISTORY", "TASK_LOG")}
    shown = command(whole.config.settings, "penguins", "housekeeping", "--delete", **unset)
    assert shown.returncode == 0, shown.stderr
    assert "would go" not in shown.stdout
    assert re.search(r"RUN_RETENTION_DAYS isn't set +older than 90 days +1 runs of 1 DAG runs", shown.stdout), (
        shown.stdout
    )
    assert left(whole, deployment, aged) == [True, True, True, True]
    deleted = run(deployment, HOUSE, dry_run=False)
    assert re.search(r"3650 days +deleted +1 runs of 1 DAG runs", deleted), deleted
    assert left(whole, deployment, aged) == [False, False, False, False]
    assert not aged[2].parent.parent.exists()
    again = run(deployment, HOUSE)
    assert re.search(r"would go +0 runs of 0 DAG runs", again), again
    assert deployment.airflow.has_dag(DISK)

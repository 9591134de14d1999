"""Changed passwords, and tasks on two Celery workers: one new start of the whole stack for both."""

from itertools import pairwise
from typing import Any

import pytest

from local.waiting import until
from tests.compose.stack import ComposeStack, run
from tests.compose.test_restart import everything
from tests.e2e.deployment import DAG, MODEL, Deployment
from tests.e2e.test_main_job import children_of

SHARDS = 4
SMALL = {"n_estimators": [10, 20, 40], "max_depth": [None, 4, 8, 12], "min_samples_split": [2, 5]}
"""Grid of 24 candidates, as the default one, with a fifth of its trees."""


@pytest.fixture(scope="module")
def before(deployment: Deployment, first_run: str) -> dict[str, Any]:
    """The rows and versions that the stack holds before it is started with other passwords and with workers."""
    del first_run
    return everything(deployment)


@pytest.fixture(scope="module")
def celery(compose: ComposeStack, before: dict[str, Any]) -> Deployment:
    """The stack with two workers and other passwords. This module runs last, because they stay."""
    del before
    compose.down()
    compose.set(AIRFLOW_PASSWORD="another-one-of-16", PENGUINS_DB_PASSWORD="another-one-of-16")
    compose.up(workers=2)
    deployment = compose.deployment()
    until(lambda: deployment.airflow.has_dag(DAG), "the DAG to be parsed")
    return deployment


def test_changed_passwords_keep_the_data(before: dict[str, Any], celery: Deployment) -> None:
    assert everything(celery) == before


def shards(deployment: Deployment, run_id: str) -> list[dict[str, Any]]:
    path = f"/api/v2/dags/{DAG}/dagRuns/{run_id}/taskInstances"
    return list(deployment.airflow_api.get(path, task_id="grid_train", limit=SHARDS)["task_instances"])


def workers(compose: ComposeStack) -> dict[str, str]:
    return {container["Config"]["Hostname"]: container["Id"] for container in compose.containers("airflow-worker")}


def trained(deployment: Deployment, run_id: str) -> list[dict[str, str]]:
    params = (found["data"]["params"] for found in children_of(deployment, run_id))
    return sorted(({item["key"]: item["value"] for item in found} for found in params), key=str)


def test_shards_are_trained_by_both_workers(compose: ComposeStack, celery: Deployment) -> None:
    run_id, states = celery.run(shards=SHARDS, cv_folds=2, grid=SMALL)
    assert set(states.values()) == {"success"}, states
    assert {shard["hostname"] for shard in shards(celery, run_id)} == set(workers(compose))
    assert len(trained(celery, run_id)) == 24
    for task in celery.airflow.tasks(DAG, run_id):
        assert any("Pushing xcom" in line for line in celery.airflow.task_log(DAG, run_id, task)), task


@pytest.mark.usefixtures("celery")
def test_tasks_of_a_worker_start_with_their_libraries_imported(compose: ComposeStack) -> None:
    assert {"onnxruntime", "pandas", "pyarrow", "sklearn"} <= compose.in_memory("airflow-worker")


def test_tasks_of_a_killed_worker_are_retried(compose: ComposeStack, celery: Deployment) -> None:
    run_id = celery.trigger(shards=SHARDS, cv_folds=2)
    until(
        lambda: (
            any(shard["state"] == "running" for shard in shards(celery, run_id)) and bool(children_of(celery, run_id))
        ),
        "a running shard",
    )
    hostname = next(shard["hostname"] for shard in shards(celery, run_id) if shard["state"] == "running")
    run("docker", "kill", workers(compose)[hostname])
    until(lambda: celery.airflow.run_state(DAG, run_id) in ("success", "failed"), "the run to end", 600)
    assert celery.airflow.run_state(DAG, run_id) == "success"
    assert any(shard["try_number"] > 1 for shard in shards(celery, run_id))
    candidates = trained(celery, run_id)
    assert len(candidates) == 24
    assert all(one != other for one, other in pairwise(candidates))
    assert celery.mlflow.version_of(MODEL, run_id) is not None

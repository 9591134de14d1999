"""Outages of programs during grid_train. On the embedded stack only, because the test mostly waits."""

from typing import Any

import psutil
import pytest

from local.orphans import has_ended
from local.stack import Stack
from local.waiting import until
from tests.e2e.deployment import DAG, Deployment
from tests.e2e.test_main_job import aliases, children_of, tags, versions
from tests.e2e.test_promotion import decisions

# All outages share a run, to save time, and nobody answers its question.
DOWN = ("mlflow", "s3")
# Small ones: each try fits all that are missing, and what isn't logged by its end is fitted again.
GRID = {"n_estimators": [20], "max_depth": list(range(2, 18)), "min_samples_split": [2, 5]}
CANDIDATES = 32


def ended(deployment: Deployment, run: str) -> str | None:
    """Return the state of grid_train after a try, or None while it is running."""
    state = deployment.task_states(run)["grid_train"]
    return None if state == "running" else state


def attempt(deployment: Deployment, run: str) -> int:
    """Return the number of the try of grid_train that is running, or 0."""
    (task,) = (task for task in deployment.airflow.tasks(DAG, run) if task.name == "grid_train")
    return task.attempt if task.state == "running" else 0


@pytest.fixture(scope="module")
def outages(deployment: Deployment, whole: Stack, first_run: str) -> dict[str, Any]:
    """A run with outages during grid_train: its id, the state after each one of `DOWN`, and the killed processes.

    A person is asked for some seconds whether to replace `champion`.
    """
    del first_run
    champion = aliases(deployment)["production"]
    run, states = deployment.trigger(grid=GRID, cv_folds=2, promotion="manual", approval_hours=0.001), {}
    for down in DOWN:
        recorded = len(children_of(deployment, run))
        until(lambda recorded=recorded: len(children_of(deployment, run)) > recorded, "another candidate", poll=0.4)
        deployment.stop(down)
        try:
            states[down] = until(lambda: ended(deployment, run), f"the end of a try without {down}", poll=0.5)
        finally:
            deployment.start(down)
    running = until(lambda: attempt(deployment, run), "the third try", poll=0.4)
    recorded = len(children_of(deployment, run))
    until(lambda: len(children_of(deployment, run)) > recorded, "another candidate", poll=0.4)
    scheduler = psutil.Process(whole.states()["airflow-scheduler"].pid)
    killed = [scheduler, *scheduler.children(recursive=True)]
    scheduler.kill()
    # Airflow itself looks after five minutes. A start of the scheduler takes ten seconds, or many under load.
    until(lambda: attempt(deployment, run) > running, "the try after the scheduler's end", seconds=150, poll=0.4)
    return {"run": run, "champion": champion, "killed": killed} | states


@pytest.mark.parametrize("down", DOWN)
def test_grid_train_is_retried_after_an_outage(deployment: Deployment, outages: dict[str, Any], down: str) -> None:
    assert outages[down] == "up_for_retry"
    run = outages["run"]
    assert set(deployment.end_of(run).values()) == {"success"}
    assert len(children_of(deployment, run)) == CANDIDATES
    assert len([version for version in versions(deployment) if tags(version)["dag_run_id"] == run]) == 1


def test_tasks_of_a_killed_scheduler_are_started_again_by_the_next_one(
    deployment: Deployment, outages: dict[str, Any]
) -> None:
    # The scheduler, the two processes for tasks, and the task.
    assert len(outages["killed"]) > 3
    assert all(has_ended(process) for process in outages["killed"])
    assert set(deployment.end_of(outages["run"]).values()) == {"success"}


def test_an_expired_question_keeps_the_champion(deployment: Deployment, outages: dict[str, Any]) -> None:
    run = outages["run"]
    assert set(deployment.end_of(run).values()) == {"success"}
    assert aliases(deployment)["production"] == outages["champion"]
    ((who, action, reason),) = decisions(deployment, run)
    assert (who, action) == ("nobody", "refuse")
    assert reason.startswith("nobody answered in time")

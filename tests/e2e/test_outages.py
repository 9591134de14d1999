"""Outages of services during grid_train. On the embedded stack only, because the test mostly waits."""

import pytest

from local.waiting import until
from tests.e2e.deployment import Deployment
from tests.e2e.test_main_job import children_of, tags, versions

# Both outages share a run, to save time.
DOWN = ("mlflow", "s3")


def ended(deployment: Deployment, run: str) -> str | None:
    """Return the state of grid_train after a try, or None while it is running."""
    state = deployment.task_states(run)["grid_train"]
    return None if state == "running" else state


@pytest.fixture(scope="module")
def outages(deployment: Deployment, first_run: str) -> dict[str, str]:
    """A run with an outage of each service during grid_train: its id, and the state after each outage."""
    del first_run
    run, states = deployment.trigger(cv_folds=2), {}
    for down in DOWN:
        recorded = len(children_of(deployment, run))
        until(lambda recorded=recorded: len(children_of(deployment, run)) > recorded, "another candidate", poll=0.4)
        deployment.stop(down)
        try:
            states[down] = until(lambda: ended(deployment, run), f"the end of a try without {down}", poll=0.2)
        finally:
            deployment.start(down)
    return {"run": run} | states


@pytest.mark.parametrize("down", DOWN)
def test_grid_train_is_retried_after_an_outage(deployment: Deployment, outages: dict[str, str], down: str) -> None:
    assert outages[down] == "up_for_retry"
    run = outages["run"]
    assert set(deployment.end_of(run).values()) == {"success"}
    assert len(children_of(deployment, run)) == 24
    assert len([version for version in versions(deployment) if tags(version)["dag_run_id"] == run]) == 1

"""What the tasks need goes down while they run. On the embedded stack only: it is mostly waiting."""

import pytest

from local.waiting import until
from tests.e2e.deployment import Deployment
from tests.e2e.test_main_job import children_of, tags, versions

# In a run each would take as long again.
DOWN = ("mlflow", "s3")


def ended(deployment: Deployment, run: str) -> str | None:
    """The state that a try of grid_train has led to, once it isn't running any more."""
    state = deployment.task_states(run)["grid_train"]
    return None if state == "running" else state


@pytest.fixture(scope="module")
def outages(deployment: Deployment, first_run: str) -> dict[str, str]:
    """A run in which each service went down when grid_train had recorded more: its id, and the state it led to."""
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
def test_a_service_that_goes_down_in_grid_train_is_waited_for(
    deployment: Deployment, outages: dict[str, str], down: str
) -> None:
    assert outages[down] == "up_for_retry"
    run = outages["run"]
    assert set(deployment.end_of(run).values()) == {"success"}
    assert len(children_of(deployment, run)) == 24
    assert len([version for version in versions(deployment) if tags(version)["dag_run_id"] == run]) == 1

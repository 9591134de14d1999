"""What the tasks need goes down while they run. On the embedded stack only: it is mostly waiting."""

import pytest

from local.waiting import until
from tests.e2e.deployment import Deployment
from tests.e2e.test_main_job import children_of, tags, versions


@pytest.mark.usefixtures("first_run")
@pytest.mark.parametrize("down", ["mlflow", "s3"])
def test_a_service_that_goes_down_in_grid_train_is_waited_for(
    deployment: Deployment, down: str, request: pytest.FixtureRequest
) -> None:
    run = deployment.trigger(cv_folds=2)
    until(lambda: bool(children_of(deployment, run)), "the first candidate")
    request.addfinalizer(lambda: deployment.start(down))
    deployment.stop(down)
    until(lambda: deployment.task_states(run)["grid_train"] == "up_for_retry", "the retry", poll=0.5)
    deployment.start(down)
    assert set(deployment.end_of(run).values()) == {"success"}
    assert len(children_of(deployment, run)) == 24
    assert len([version for version in versions(deployment) if tags(version)["dag_run_id"] == run]) == 1

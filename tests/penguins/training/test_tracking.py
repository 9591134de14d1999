"""Looking for runs, on a real MLflow server."""

import pytest

from penguins.settings import settings
from penguins.training import tracking

pytestmark = pytest.mark.usefixtures("mlflow")


def test_looking_for_runs_creates_no_experiment() -> None:
    assert tracking.find_candidates("manual__1") == []
    assert tracking.find_parent("manual__1") is None
    assert tracking.client().get_experiment_by_name(settings().experiment) is None


def test_the_experiment_is_created_once() -> None:
    assert tracking.experiment_id() == tracking.experiment_id()
    assert tracking.client().get_experiment_by_name(settings().experiment) is not None

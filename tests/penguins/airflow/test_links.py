"""The links of the tasks into MLflow."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from penguins.airflow.links import CandidatesLink, VersionLink
from penguins.settings import settings
from penguins.training import tracking
from penguins.training.tracking import client, experiment_id
from tests.penguins import ours
from tests.penguins.conftest import made_up_version

pytestmark = pytest.mark.usefixtures("mlflow")

KEY = SimpleNamespace(dag_id="penguins_training", run_id="manual__1")


def test_before_anything_is_logged_there_are_no_links() -> None:
    assert CandidatesLink().get_link(None, ti_key=KEY) == ""
    assert VersionLink().get_link(None, ti_key=KEY) == ""


def test_the_candidates_link_leads_to_the_parent_run() -> None:
    run = (
        client()
        .create_run(experiment_id(ours.contract()), tags={tracking.DAG_RUN: KEY.run_id, tracking.ROLE: tracking.PARENT})
        .info
    )
    address = f"{settings().mlflow_ui}/#/experiments/{run.experiment_id}/runs/{run.run_id}"
    assert CandidatesLink().get_link(None, ti_key=KEY) == address


def test_the_version_link_leads_to_the_version_of_the_dag_run(tmp_path: Path) -> None:
    version = made_up_version(tmp_path)
    address = f"{settings().mlflow_ui}/#/models/{version.name}/versions/{version.version}"
    assert VersionLink().get_link(None, ti_key=KEY) == address
    assert VersionLink().get_link(None, ti_key=SimpleNamespace(dag_id=KEY.dag_id, run_id="another")) == ""

"""The links of the tasks into MLflow."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk import BaseOperatorLink

from local.ports import free_ports
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


@pytest.mark.parametrize("link", [CandidatesLink(), VersionLink()], ids=lambda link: link.name)
def test_without_mlflow_a_link_is_empty(
    link: BaseOperatorLink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_ports(1)[0]}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings.cache_clear()
    tracking.client.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert link.get_link(None, ti_key=KEY) == ""
    (message,) = (record.getMessage() for record in caplog.records if record.name == "penguins.airflow.links")
    assert message.startswith(f"the task has no link '{link.name}': MLflow at http://127.0.0.1:")
    assert not any(record.exc_info for record in caplog.records)

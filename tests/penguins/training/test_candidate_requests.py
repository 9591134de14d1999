"""The requests that record a candidate, and what the server refuses of them."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow.entities import Run, ViewType
from mlflow.exceptions import RestException

from local.stack import Stack
from penguins.data.dataset import Dataset
from penguins.errors import UserError
from penguins.settings import settings
from penguins.training import artifacts, candidate_requests, tracking
from penguins.training.grid import Candidate
from penguins.training.tracking import client
from tests.penguins import ours

RUN = "manual__1"
CANDIDATE = Candidate({"n_estimators": 2})


@pytest.fixture
def parent(mlflow: None, data: Dataset) -> Run:
    del mlflow
    return tracking.open_parent(RUN, {}, data)


def begin(parent: Run, data: Dataset, params: dict[str, str]) -> candidate_requests.Opened:
    tags = {**tracking.source_tags(RUN, data), tracking.ROLE: tracking.CANDIDATE}
    rows = tracking.dataset_input(data)
    experiment = parent.info.experiment_id
    return candidate_requests.begin(CANDIDATE, experiment, tags, params, {"holdout_accuracy": 0.5}, rows)


def test_a_run_is_open_until_its_model_has_all_files(parent: Run, data: Dataset, tmp_path: Path) -> None:
    opened = begin(parent, data, {"n_estimators": "2"})
    run, model = client().get_run(opened.run_id), client().get_logged_model(opened.model_id)
    assert (run.info.status, run.info.run_name, run.info.user_id) == ("RUNNING", CANDIDATE.name, "unknown")
    assert (run.data.params, run.data.metrics) == ({"n_estimators": "2"}, {"holdout_accuracy": 0.5})
    assert run.inputs.dataset_inputs[0].dataset == tracking.dataset_input(data).dataset
    assert [output.model_id for output in run.outputs.model_outputs] == [opened.model_id]
    assert (str(model.status), model.params, model.source_run_id) == ("PENDING", {"n_estimators": "2"}, opened.run_id)
    assert {metric.key: metric.value for metric in model.metrics} == {"holdout_accuracy": 0.5}
    files = {"MLmodel": "ü\r\n".encode(), "model.pkl": b"\x80", "large.txt": b"x" * (candidate_requests.SMALL + 1)}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    candidate_requests.finish(opened, tmp_path, {"digests": "{}"})
    run, model = client().get_run(opened.run_id), client().get_logged_model(opened.model_id)
    assert (run.info.status, str(model.status), model.tags["digests"]) == ("FINISHED", "READY", "{}")
    assert run.info.end_time >= run.info.start_time
    (tmp_path / "found").mkdir()
    found = Path(artifacts.repository(model.artifact_location).download_artifacts("", str(tmp_path / "found")))
    assert {path.name: path.read_bytes() for path in found.iterdir()} == files


def test_a_run_that_cant_be_filled_is_deleted(parent: Run, data: Dataset) -> None:
    with pytest.raises(RestException, match="exceeds the maximum length"):
        begin(parent, data, {"n" * 251: "2"})
    assert ours.find_candidates(RUN) == []
    deleted = client().search_runs([parent.info.experiment_id], run_view_type=ViewType.DELETED_ONLY)
    assert [run.info.run_name for run in deleted] == [CANDIDATE.name]


def ask(stack: Stack, what: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    return httpx.post(f"{stack.urls['mlflow']}/api/3.0/penguins/candidates/{what}", json=body, headers=headers)


def test_the_server_refuses_other_places_and_other_pages(
    stack: Stack, parent: Run, data: Dataset, tmp_path: Path
) -> None:
    opened = begin(parent, data, {})
    body = {"run_id": opened.run_id, "model_id": opened.model_id, "files": {"MLmodel": ""}, "tags": {}}
    for name in ("../MLmodel", "a/b", "..", ""):
        assert ask(stack, "close", body | {"files": {name: ""}}).status_code == 422
    assert ask(stack, "close", body, Origin="https://evil.example.org").status_code == 403
    experiment = client().create_experiment(f"in {tmp_path}", artifact_location=f"file://{tmp_path}")
    elsewhere = client().create_logged_model(experiment, name="x")
    refused = ask(stack, "close", body | {"model_id": elsewhere.model_id})
    assert (refused.status_code, "behind the proxy" in refused.text) == (400, True)
    assert client().get_run(opened.run_id).info.status == "RUNNING"
    assert ask(stack, "close", body).status_code == 200


def test_an_older_server_is_named(stack: Stack, mlflow: None, monkeypatch: pytest.MonkeyPatch) -> None:
    del mlflow
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{stack.urls['mlflow']}/api/2.0")
    settings.cache_clear()
    with pytest.raises(UserError, match="older version of this project: restart it"):
        candidate_requests._ask("open", {})

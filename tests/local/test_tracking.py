"""The MLflow server gives a client no way to run programs or to write files on its machine."""

import httpx
import pytest

ASSISTANT = "/ajax-api/3.0/mlflow/assistant"


@pytest.mark.parametrize("place", ["{}", "file://{}", "file:{}", "FILE://{}", "dbfs:{}"])
def test_artifacts_are_kept_in_the_bucket_only(stack, tmp_path, place):
    api = f"{stack.urls['mlflow']}/api/2.0/mlflow"
    location = {"name": place.format(tmp_path), "artifact_location": place.format(tmp_path)}
    created = httpx.post(f"{api}/experiments/create", json=location).json()
    run = httpx.post(f"{api}/runs/create", json={"experiment_id": created["experiment_id"], "start_time": 0}).json()
    run_id = run["run"]["info"]["run_id"]
    upload = f"{stack.urls['mlflow']}/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run_id}&path=dag.py"
    assert httpx.post(upload, content="print()").is_error
    refused = httpx.get(f"{api}/artifacts/list?run_id={run_id}")
    assert refused.status_code == 400
    assert "in its bucket only" in refused.json()["message"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["/config", "/providers", "/message", "/%63onfig", ""])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_the_assistant_is_off(stack, method, path):
    answer = httpx.request(method, stack.urls["mlflow"] + ASSISTANT + path, json={})
    assert (answer.status_code, "no assistant" in answer.text) == (403, True)

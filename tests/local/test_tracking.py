"""The MLflow server gives a client no way to run programs, write files, or reach other services from its machine."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import boto3
import httpx
import psutil
import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver

from local.environment import BUCKET
from local.waiting import until
from tests.serving.api.test_page import OPTIONS

ASSISTANT = "/ajax-api/3.0/mlflow/assistant"


def test_the_server_is_one_process(stack):
    assert psutil.Process(stack.states()["mlflow"].pid).children() == []


PLACES = ["{}", "file://{}", "file:{}", "FILE://{}", "dbfs:{}", "gs:/{}", "wasbs://a@b.blob.core.windows.net{}"]
BUCKETS = ["s3:/{}", "s3://mlflow-artifacts-2{}", "s3://mlflow-artifacts/..{}"]


@pytest.mark.parametrize("place", [*PLACES, *BUCKETS])
def test_artifacts_are_kept_in_the_bucket_only(stack, tmp_path, place):
    api = f"{stack.urls['mlflow']}/api/2.0/mlflow"
    location = {"name": place.format(tmp_path), "artifact_location": place.format(tmp_path)}
    created = httpx.post(f"{api}/experiments/create", json=location).json()
    run = httpx.post(f"{api}/runs/create", json={"experiment_id": created["experiment_id"], "start_time": 0}).json()
    run_id = run["run"]["info"]["run_id"]
    upload = f"{stack.urls['mlflow']}/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run_id}&path=dag.py"
    uploaded = httpx.post(upload, content="print()", headers={"Content-Type": "text/plain"})
    assert (uploaded.status_code, "in its bucket only" in uploaded.text) == (400, True)
    refused = httpx.get(f"{api}/artifacts/list?run_id={run_id}")
    assert refused.status_code == 400
    assert "in its bucket only" in refused.json()["message"]
    presigned = httpx.post(f"{api}/artifacts/presigned-upload-url", json={"run_id": run_id, "path": "dag.py"})
    assert (presigned.status_code, "in its bucket only" in presigned.text) == (400, True)
    assert list(tmp_path.iterdir()) == []


def s3_client(stack):
    return boto3.client(
        "s3",
        endpoint_url=stack.urls["s3"],
        aws_access_key_id=stack.config.credentials.s3_access_key,
        aws_secret_access_key=stack.config.credentials.s3_secret_key,
        region_name="us-east-1",
    )


@pytest.mark.parametrize("size", [0, 100, 9_000_000])
def test_a_file_comes_back_as_it_was_sent_with_its_type(stack, size):
    content = os.urandom(size)
    address = f"{stack.urls['mlflow']}/api/2.0/mlflow-artifacts/artifacts/sent/{size}/report.json"
    httpx.put(address, content=content, timeout=60).raise_for_status()
    assert httpx.get(address, timeout=60).content == content
    s3 = s3_client(stack)
    found = s3.head_object(Bucket=BUCKET, Key=f"sent/{size}/report.json")
    assert (found["ContentType"], found["ContentLength"]) == ("application/json", size)


def test_a_request_for_a_workspace_is_refused(stack):
    address = f"{stack.urls['mlflow']}/api/2.0/mlflow/experiments/search?max_results=1"
    assert httpx.get(address).status_code == 200
    refused = httpx.get(address, headers={"X-MLFLOW-WORKSPACE": "other"})
    assert (refused.is_error, "workspaces are not enabled" in refused.text) == (True, True)


def test_no_other_bucket_is_read(stack):
    s3 = s3_client(stack)
    s3.create_bucket(Bucket="another")
    for bucket in (BUCKET, "another"):
        s3.put_object(Bucket=bucket, Key="a place/secret.txt", Body=bucket.encode())
    api, name = f"{stack.urls['mlflow']}/api/2.0/mlflow", "of another bucket"
    httpx.post(f"{api}/registered-models/create", json={"name": name}).raise_for_status()
    found = []
    for bucket in (BUCKET, "another"):
        version = {"name": name, "source": f"s3://{bucket}/a place"}
        made = httpx.post(f"{api}/model-versions/create", json=version).raise_for_status().json()["model_version"]
        file = {"name": name, "version": made["version"], "path": "secret.txt"}
        found.append(httpx.get(f"{stack.urls['mlflow']}/model-versions/get-artifact", params=file))
    assert (found[0].status_code, found[0].text) == (200, BUCKET)
    assert (found[1].status_code, "in its bucket only" in found[1].text) == (400, True)


@pytest.mark.parametrize(
    "path", ["/mlflow/v1/models", "/x/mlflow/invocations", "/proxy/x/v1/chat", "/%6dlflow/v1/models"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_gateway_is_off(stack, method, path):
    answer = httpx.request(method, f"{stack.urls['mlflow']}/gateway{path}", json={})
    assert (answer.status_code, "no gateway" in answer.text) == (403, True)


@pytest.mark.parametrize("path", ["/config", "/providers", "/message", "/%63onfig", ""])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_the_assistant_is_off(stack, method, path):
    answer = httpx.request(method, stack.urls["mlflow"] + ASSISTANT + path, json={})
    assert (answer.status_code, "no assistant" in answer.text) == (403, True)


@pytest.mark.parametrize("api", ["/api", "/ajax-api"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "scorer/invoke"),
        ("PUT", "scorers/online-config"),
        ("POST", "genai/evaluate/invoke"),
        ("POST", "issues/invoke"),
    ],
)
def test_no_scorer_is_called(stack, api, method, path):
    answer = httpx.request(method, f"{stack.urls['mlflow']}{api}/3.0/mlflow/{path}", json={})
    assert (answer.status_code, "calls no scorer" in answer.text) == (403, True)


def test_no_request_is_sent_for_a_client(stack):
    seen = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(self.path)
            self.send_error(404)

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        asked = {"model_uri": "ollama:/x", "prompt": "x", "assessment_name": "x", "num_retries": 0, "base_url": address}
        scorer = {"name": "x", "builtin_scorer_class": "invoke_judge_model", "builtin_scorer_pydantic_data": asked}
        sent = {"experiment_id": "0", "trace_ids": ["x"], "serialized_scorer": json.dumps(scorer)}
        httpx.post(f"{stack.urls['mlflow']}/ajax-api/3.0/mlflow/scorer/invoke", json=sent, timeout=60)
        server.shutdown()
    assert seen == []


def test_scorers_can_still_be_listed(stack):
    scorers = f"{stack.urls['mlflow']}/ajax-api/3.0/mlflow/scorers"
    for path in ("list?experiment_id=0", "online-configs?scorer_ids=x"):
        assert httpx.get(f"{scorers}/{path}").status_code == 200


@pytest.mark.parametrize("path", ["/", "/health", "/api/2.0/mlflow/experiments/search?max_results=1", ASSISTANT])
def test_pages_load_nothing_from_elsewhere(stack, path):
    policy = httpx.get(stack.urls["mlflow"] + path).headers["content-security-policy"]
    assert policy.startswith("default-src 'self' ")
    assert "http" not in policy
    assert "*" not in policy


@pytest.mark.browser
def test_a_picture_in_a_description_is_not_loaded_from_another_port(stack):
    seen = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers.get("Cookie"))
            self.send_error(404)

    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Listener) as listener,
        Chrome(options, Driver("/usr/bin/chromedriver")) as browser,
    ):
        Thread(target=listener.serve_forever, daemon=True).start()
        picture = f"http://127.0.0.1:{listener.server_port}/picture.png"
        model = {"name": "with a picture", "description": f"the description ![]({picture})"}
        httpx.post(f"{stack.urls['mlflow']}/api/2.0/mlflow/registered-models/create", json=model).raise_for_status()
        browser.get(f"{stack.urls['mlflow']}/#/models/with%20a%20picture")
        text = browser.find_element("css selector", "body")
        until(lambda: "the description" in text.text, "the page of the model", seconds=60)
        refused = until(
            lambda: [each for each in browser.get_log("browser") if picture in each["message"]], "the refusal"
        )
        listener.shutdown()
    assert "Content Security Policy" in refused[0]["message"]
    assert seen == []

"""The command `run` and its clients, on the whole stack with the real DAG."""

from concurrent.futures import ThreadPoolExecutor, wait

import httpx
import psutil
import pytest

from local import cli
from local.clients.airflow import Airflow
from local.clients.mlflow import Mlflow
from local.clients.service import Service
from local.contracts import read_contract
from local.errors import StackError
from local.waiting import until
from tests.e2e.deployment import DAG, EXPERIMENT, MODEL


@pytest.fixture(scope="module")
def airflow(whole):
    return Airflow(whole.urls["airflow-api-server"], "admin", whole.config.credentials.airflow_password)


def test_run_shows_the_tasks_the_candidates_and_a_prediction(whole, made):
    for task in ("load_raw", "preprocess", "grid_train", "register_best"):
        assert f"{task:<24} success" in made.output
    assert "24 candidates" in made.output
    assert "version 1 is in Production now; before it was nothing" in made.output
    assert f"curl {whole.urls['api']}/predict" in made.output
    assert made.answer["model_version"] == "1"


def test_no_log_has_warnings_of_airflow_about_our_configuration(whole, made):
    logs = [*whole.config.layout.logs.iterdir(), *(whole.config.layout.airflow / "logs").rglob("*.log")]
    assert [path for path in logs if f"run_id={made.run}" in path.parts]
    texts = {path: path.read_text(errors="replace") for path in logs}
    for warning in ("GitWildMatchPattern", "InsecureKeyLengthWarning"):
        assert [path for path, text in texts.items() if warning in text] == []


def test_the_clients_agree_on_the_version(whole, made):
    assert made.version.number == made.answer["model_version"] == "1"
    assert made.version.tags["dag_run_id"] == made.run
    assert len(Mlflow(whole.urls["mlflow"]).children(EXPERIMENT, made.run)) == 24
    production = Mlflow(whole.urls["mlflow"]).production(MODEL)
    assert production is not None
    until(lambda: Service(whole.urls["api"]).version() == production.number, "the service to follow", 60)


@pytest.mark.usefixtures("made")
def test_tasks_start_with_their_libraries_imported(whole):
    workers = psutil.Process(whole.states()["airflow-scheduler"].pid).children()
    assert workers
    for worker in workers:
        mapped = {folder for each in worker.memory_maps() for folder in each.path.split("/")}
        assert {"onnxruntime", "pandas", "pyarrow", "sklearn"} <= mapped


def test_run_follows_its_run_while_airflow_is_down(whole, made):
    pipeline = cli._pipeline(whole, read_contract(whole.config, "penguins"))
    whole.stop("airflow-api-server")
    try:
        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(pipeline._follow, DAG, made.run)
            assert not wait([following], timeout=2).done
            whole.start("airflow-api-server")
            following.result()
    finally:
        whole.start("airflow-api-server")


def test_a_wrong_password_is_reported(whole):
    with pytest.raises(StackError, match="answered 401"):
        Airflow(whole.urls["airflow-api-server"], "admin", "wrong")


def test_the_log_of_a_failed_task_holds_the_error(whole, airflow):
    api = httpx.Client(base_url=whole.urls["airflow-api-server"])
    login = {"username": "admin", "password": whole.config.credentials.airflow_password}
    api.headers["Authorization"] = f"Bearer {api.post('/auth/token', json=login).json()['access_token']}"
    body = {"logical_date": None, "conf": {"source": "/nowhere/penguins.csv"}}
    run = api.post(f"/api/v2/dags/{DAG}/dagRuns", json=body).raise_for_status().json()["dag_run_id"]
    until(lambda: airflow.run_state(DAG, run) == "failed", "the run to fail", poll=0.5)
    first = airflow.tasks(DAG, run)[0]
    assert (first.name, first.state) == ("load_raw", "failed")
    assert "/nowhere/penguins.csv" in "\n".join(airflow.task_log(DAG, run, first))

"""`make compose-run`, as far as it needs no containers."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from local.clients.airflow import Airflow
from local.stack import Stack
from local.waiting import until
from ops import run
from ops.web import Web
from tests.e2e.deployment import DAG, PENGUIN, Made


def test_a_model_is_added_to_the_list_once(tmp_path: Path) -> None:
    for model in ("wine", "breast cancer", "wine"):
        run.serve(tmp_path, model)
    assert (tmp_path / "models.txt").read_text() == "wine\nbreast cancer\n"
    assert run.models_folder({"PENGUINS_MODELS_DIR": str(tmp_path)}) == tmp_path


def test_commands_at_the_same_time_lose_no_model(tmp_path: Path) -> None:
    models = [f"model {number}" for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda model: run.serve(tmp_path, model), models))
    assert sorted((tmp_path / "models.txt").read_text().splitlines()) == sorted(models)


def test_the_answer_of_the_service_is_printed(whole: Stack, made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    variables = {"API_PORT": str(whole.config.settings.api_port)}
    run._predict(variables, {"name": "penguins", "model": "penguins_rf", "example": PENGUIN})
    shown = capsys.readouterr().out
    assert shown.startswith(f"\ncurl {whole.urls['api']}/predict -H 'Content-Type: application/json' -d '{{")
    assert json.loads(shown[shown.index("\n{") :])["species"] == made.answer["species"]


def test_an_address_without_a_service_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(tmp_path / ".env", "wine") == 1
    assert "No such file or directory" in capsys.readouterr().err


@pytest.mark.usefixtures("made")
def test_a_dag_behind_a_hundred_others_is_parsed_again(whole: Stack) -> None:
    airflow = Web(whole.urls["airflow-api-server"])
    login = {"username": "admin", "password": whole.config.credentials.airflow_password}
    airflow.authorize(airflow.post("/auth/token", login)["access_token"])
    client = Airflow(whole.urls["airflow-api-server"], *login.values())
    with psycopg.connect(whole.config.database_url("airflow", "postgresql"), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO dag SELECT (jsonb_populate_record(dag, jsonb_build_object('dag_id', 'a_' || number,"
            " 'is_paused', true))).* FROM dag, generate_series(1, 100) AS number WHERE dag_id = %s",
            [DAG],
        )
        try:
            listed = airflow.get("/api/v2/dags?limit=100")["dags"]
            parsed = run.request_parsing(airflow, DAG)
            until(lambda: client.has_dag(DAG, parsed), "the DAG to be parsed", 60)
            again = client.request_parsing(DAG)
        finally:
            connection.execute("DELETE FROM dag WHERE dag_id LIKE 'a\\_%'")
    assert DAG not in [each["dag_id"] for each in listed]
    assert parsed
    assert again
    assert parsed < again
    assert run.request_parsing(airflow, "nothing_training") is None

"""Promotion by a person in Airflow's UI, and the links from tasks to MLflow."""

import re
from typing import Any
from urllib.parse import quote

import pytest

from local.waiting import until
from tests.e2e.deployment import DAG, QUICK, Deployment
from tests.e2e.test_main_job import MODEL, aliases

pytestmark = pytest.mark.usefixtures("first_run")


def task(run: str, name: str, index: int = -1) -> str:
    return f"/api/v2/dags/{DAG}/dagRuns/{quote(run)}/taskInstances/{name}" + (f"/{index}" if index >= 0 else "")


def links(deployment: Deployment, run: str, name: str, **index: int) -> dict[str, str]:
    return dict(deployment.airflow_api.get(f"{task(run, name)}/links", **index)["extra_links"])


def asked(deployment: Deployment) -> tuple[str, dict[str, Any]]:
    """Start a run with a manual promotion, and return its id and the question to the person.

    Waits until the scheduler has handled the pause of the task: after an earlier answer the scheduler would treat
    the task as lost and run it again.
    """
    run = deployment.trigger(promotion="manual", **QUICK)
    paused = re.compile(
        rf"Received executor event with state success .*task_id='register_best', run_id='{re.escape(run)}'"
    )

    def waits() -> bool:
        waiting = deployment.task_states(run)["register_best"] == "awaiting_input"
        return waiting and paused.search(deployment.scheduler_log()) is not None

    until(waits, "the question", poll=0.5)
    return run, deployment.airflow_api.get(f"{task(run, 'register_best')}/-1/hitlDetails")


def answer(deployment: Deployment, run: str, given: dict[str, Any]) -> None:
    """Answer once, and wait for the end of the run. Fails if the question is asked again, after a lost answer."""
    address = f"{task(run, 'register_best')}/-1/hitlDetails"
    deployment.airflow_api.patch(address, given)

    def done() -> bool:
        waits = deployment.task_states(run)["register_best"] == "awaiting_input"
        assert not waits or deployment.airflow_api.get(address)["response_received"], "asked again"
        return deployment.airflow.run_state(DAG, run) == "success"

    until(done, "the run to end with the answer", poll=0.5)


def decisions(deployment: Deployment, run: str) -> list[tuple[Any, ...]]:
    return deployment.query(f"SELECT who, action, reason FROM audit.promotions WHERE dag_run_id = '{run}' ORDER BY id")  # noqa: S608


def test_a_person_promotes_past_the_gate(deployment: Deployment) -> None:
    champion = aliases(deployment)["production"]
    run, question = asked(deployment)
    made = deployment.mlflow.version_of(MODEL, run)
    assert made is not None
    assert question["subject"].startswith(
        f"Put {MODEL} version {made.number} in Production, in place of version {champion}"
    )
    assert "The gate says: **keep the champion**: not better than" in question["body"]
    assert "| recall Chinstrap " in question["body"]
    assert f"/penguins/confusion/{champion})" in question["body"]
    assert aliases(deployment)["production"] == champion
    answer(deployment, run, {"chosen_options": ["Promote"], "params_input": {"comment": "trained on what we have now"}})
    assert aliases(deployment)["production"] == made.number
    ((who, action, reason),) = decisions(deployment, run)
    assert (who, action) == ("admin", "promote")
    assert reason.startswith("trained on what we have now (the gate: not better than version")
    until(lambda: deployment.service.version() == made.number, "the service to follow")
    lineage = deployment.service.status()["model"]
    assert (lineage["run_id"], lineage["lineage"]["dag_run_id"]) == (made.run_id, run)
    assert {"data_digest", "data_source", "git_commit"} <= set(lineage["lineage"])


def copy_of(deployment: Deployment, number: str) -> str:
    """Register the model of a version once more, as by hand in MLflow's UI, and return the new version's number."""
    api = "/api/2.0/mlflow/model-versions"
    found = deployment.mlflow_api.get(f"{api}/get", name=MODEL, version=number)["model_version"]
    source = {name: found[name] for name in ("source", "run_id")} | {"model_id": found["source"].split("/")[-1]}
    return str(deployment.mlflow_api.post(f"{api}/create", {"name": MODEL} | source)["model_version"]["version"])


def test_after_a_clear_airflow_cannot_ask_about_another_champion_and_the_page_does(deployment: Deployment) -> None:
    champion = aliases(deployment)["production"]
    run, question = asked(deployment)
    made = deployment.mlflow.version_of(MODEL, run)
    assert made is not None
    other = copy_of(deployment, champion)
    body = {"version": other, "reason": "meanwhile", "expected_champion": champion}
    deployment.airflow_api.post("/penguins/api/promote", body)
    body = {"dry_run": False, "only_failed": False, "dag_run_id": run, "task_ids": ["register_best"]}
    deployment.airflow_api.post(f"/api/v2/dags/{DAG}/clearTaskInstances", body)
    assert deployment.end_of(run)["register_best"] == "success"
    assert "Airflow can't ask anew" in deployment.log(run, "register_best")
    address = f"{task(run, 'register_best')}/-1/hitlDetails"
    assert deployment.airflow_api.get(address)["subject"] == question["subject"]
    deployment.airflow_api.patch(address, {"chosen_options": ["Promote"], "params_input": {"comment": "old"}})
    page = deployment.airflow_api.get("/penguins/api/overview")
    assert (page["production"], made.number in page["questions"]) == (other, True)
    body = {"version": made.number, "approved": True, "reason": "seen", "expected_champion": other}
    assert deployment.airflow_api.post("/penguins/api/answer", body) == {"production": made.number}
    ((who, action, reason),) = decisions(deployment, run)
    assert (who, action, reason[:15]) == ("admin", "promote", "seen (the gate:")


def test_tasks_link_to_their_results_in_mlflow(deployment: Deployment, first_run: str) -> None:
    made = deployment.mlflow.version_of(MODEL, first_run)
    assert made is not None
    candidates = links(deployment, first_run, "grid_train", map_index=0)["Candidates in MLflow"]
    assert "/#/experiments/" in candidates
    found = links(deployment, first_run, "register_best")
    assert found["Candidates in MLflow"] == candidates
    assert found["Version in MLflow"].endswith(f"/#/models/{MODEL}/versions/{made.number}")

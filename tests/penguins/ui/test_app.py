"""Permissions and answers of the page's API."""

import json
import re
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import httpx
import pytest

from local.stack import Stack
from local.waiting import until
from tests.local.test_init_db import connect_as_superuser
from tests.penguins.ui.conftest import MODEL, client, processes
from tests.receiver import Receiver

REQUEST = {"version": "2", "reason": "why not", "expected_champion": "1", "expected_target": "1"}


@pytest.mark.parametrize(
    ("path", "body"), [("overview", None), ("predictions", None), ("promote", REQUEST), ("rollback", REQUEST)]
)
def test_a_request_without_login_is_refused(airflow: str, path: str, body: dict[str, str] | None) -> None:
    with httpx.Client(base_url=f"{airflow}/penguins/", timeout=60) as anybody:
        answer = anybody.post(f"api/{path}", json=body) if body else anybody.get(f"api/{path}")
        assert answer.status_code == 401
        assert anybody.get("confusion/1").status_code == 401


def test_a_viewer_reads_and_changes_nothing(airflow: str, ada: httpx.Client, first: str) -> None:
    with client(airflow, "vera") as vera:
        shown = vera.get("api/overview").json()
        assert (shown["production"], shown["may_change"]) == (first, False)
        assert vera.post("api/promote", json=REQUEST).status_code == 403
        assert vera.post("api/rollback", json=REQUEST).status_code == 403
        assert vera.get("api/rollback").status_code == 403
    assert ada.get("api/overview").json()["production"] == first


def test_a_promotion_is_in_the_trail_with_the_users_name(ada: httpx.Client, first: str) -> None:
    assert ada.post("api/promote", json=REQUEST).json() == {"production": "2"}
    shown = ada.get("api/overview").json()
    assert shown["production"] == "2"
    assert ada.get("api/rollback").json() == {"target": first, "passed_over": {}}
    entry = shown["trail"][0]
    assert (entry["who"], entry["action"], entry["reason"]) == ("ada", "promote", "why not")
    answer = ada.post("api/promote", json={**REQUEST, "version": "1"})  # as from a page that still shows version 1
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        "Production has changed meanwhile: it is version 2, not version 1. Look again.",
    )


def test_the_page_is_about_the_contract_that_a_request_names(ada: httpx.Client, first: str) -> None:
    assert ada.get("api/contracts").json() == ["penguins", "wine"]
    wine = ada.get("api/overview?contract=wine").json()
    assert (wine["model"], wine["target"], wine["production"], wine["versions"]) == ("wine", "cultivar", None, [])
    answer = ada.post("api/promote?contract=wine", json=REQUEST | {"expected_champion": None})
    assert (answer.status_code, answer.json()["detail"]) == (409, "wine has no version 2.")
    assert ada.get("api/overview?contract=penguins").json()["production"] == first
    unknown = ada.get("api/overview?contract=beer")
    assert unknown.status_code == 409
    assert unknown.json()["detail"].startswith("there is no contract 'beer'. Known are penguins, wine;")
    assert ada.get("api/overview?contract=../penguins").status_code == 422
    with httpx.Client(base_url=ada.base_url, timeout=60) as anybody:
        assert anybody.get("api/contracts").status_code == 401


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"reason": "  "}, 422, "reason: String should have at least 1 character"),
        ({"version": "99"}, 409, f"{MODEL} has no version 99."),
        ({"version": "1"}, 409, "Version 1 is in Production already."),
    ],
)
@pytest.mark.usefixtures("first")
def test_an_invalid_request_is_refused(ada: httpx.Client, change: dict[str, str], status: int, message: str) -> None:
    answer = ada.post("api/promote", json=REQUEST | change)
    assert (answer.status_code, answer.json()["detail"]) == (status, message)


def test_a_question_is_answered_on_the_page(ada: httpx.Client, airflow: str, first: str, asked: str) -> None:
    assert ada.get("api/overview").json()["questions"] == [asked]
    body = {"version": asked, "approved": True, "reason": "newer", "expected_champion": first}
    with client(airflow, "vera") as vera:
        assert vera.post("api/answer", json=body).status_code == 403
    assert ada.post("api/answer", content=json.dumps(body), headers={"Content-Type": "text/plain"}).status_code == 422
    outdated = ada.post("api/answer", json=body | {"expected_champion": None})
    assert (outdated.status_code, outdated.json()["detail"]) == (
        409,
        "Production has changed meanwhile: it is version 1, not nothing. Look again.",
    )
    assert ada.post("api/answer", json=body).json() == {"production": asked}
    shown = ada.get("api/overview").json()
    assert (shown["production"], shown["questions"]) == (asked, [])
    entry = shown["trail"][0]
    assert (entry["who"], entry["reason"]) == ("ada", "newer (the gate: not better than version 1)")


def test_a_rollback_with_outdated_expectations_is_refused(ada: httpx.Client, first: str) -> None:
    ada.post("api/promote", json=REQUEST).raise_for_status()
    body = {"reason": "worse", "expected_champion": "2", "expected_target": first}
    for seen, message in (
        ({"expected_champion": None}, "Production has changed meanwhile: it is version 2, not nothing. Look again."),
        ({"expected_target": "9"}, "This would go back to version 1, not to version 9: "),
    ):
        answer = ada.post("api/rollback", json=body | seen)
        assert answer.status_code == 409
        assert answer.json()["detail"].startswith(message)
    assert ada.post("api/rollback", json=body).json() == {"production": first}


def test_people_are_told_of_each_move_on_the_page(
    ada: httpx.Client, airflow: str, first: str, asked: str, told: Receiver
) -> None:
    answer = {"version": asked, "approved": True, "reason": "newer", "expected_champion": first}
    for path, body, said in (
        ("answer", answer, f"version {asked} was promoted"),
        ("promote", REQUEST | {"expected_champion": asked}, "version 2 was promoted"),
        (
            "rollback",
            REQUEST | {"expected_champion": "2", "expected_target": asked},
            f"version {asked} is in Production again",
        ),
    ):
        before = len(told.titled(f"{MODEL} {said}"))
        ada.post(f"api/{path}", json=body).raise_for_status()
        until(lambda: len(told.titled(f"{MODEL} {said}")) > before, "the notice", 20)  # noqa: B023 - within the loop
    (*_, rollback) = told.titled(f"{MODEL} version {asked} is in Production again")
    assert rollback["message"] == f"By ada: why not\nContract: penguins\n{airflow}/penguins"


@pytest.mark.usefixtures("published")
def test_an_outage_is_reported_on_an_open_connection(
    airflow: str, ada: httpx.Client, stack: Stack, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: stack.start("mlflow"))
    stack.stop("mlflow")
    address = urlsplit(airflow)
    token = {"Authorization": ada.headers["Authorization"]}
    connection = HTTPConnection(address.netloc, timeout=60)
    request.addfinalizer(connection.close)
    for _ in range(2):
        connection.request("GET", f"{address.path}/penguins/api/overview", headers=token)
        connection.auto_open = 0  # a closed connection is not replaced
        answer = connection.getresponse()
        assert answer.status == 503
        assert f"MLflow at {stack.urls['mlflow']} doesn't answer" in json.load(answer)["detail"]


@pytest.mark.parametrize("how", ["stopped", "suspended"])
def test_without_s3_the_page_is_shown_and_the_rollback_is_not_offered(
    ada: httpx.Client, stack: Stack, first: str, request: pytest.FixtureRequest, how: str
) -> None:
    ada.post("api/promote", json=REQUEST).raise_for_status()
    if how == "stopped":
        request.addfinalizer(lambda: stack.start("s3"))
        stack.stop("s3")
    else:
        for process in processes(stack, "s3"):
            request.addfinalizer(process.resume)
            process.suspend()
    answer = ada.get("api/rollback", timeout=20)
    assert answer.status_code == 503
    assert re.search("MLflow.* doesn't answer", answer.json()["detail"])
    shown = ada.get("api/overview", timeout=5).json()
    assert (shown["production"], len(shown["versions"])) == ("2", 2)
    assert first == "1"


def test_only_airflow_may_frame_the_page(airflow: str) -> None:
    policy = httpx.get(f"{airflow}/penguins/").headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "frame-ancestors 'self'", "base-uri 'none'", "form-action 'self'"):
        assert rule in policy.split("; ")


@pytest.mark.usefixtures("first")
def test_a_form_of_another_site_is_refused(ada: httpx.Client) -> None:
    answer = ada.post("api/promote", content=json.dumps(REQUEST), headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422


@pytest.mark.usefixtures("published")
def test_a_missing_confusion_matrix_is_reported(ada: httpx.Client) -> None:
    answer = ada.get("confusion/1")
    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        "There is no picture of version 1: no DAG run made it.",
    )
    answer = ada.get("confusion/99")
    assert (answer.status_code, answer.json()["detail"]) == (404, f"{MODEL} has no version 99.")


def test_a_service_that_is_down_is_a_sentence_on_the_page(ada: httpx.Client, airflow: str) -> None:
    (sentence,) = ada.get("api/service").json()
    assert re.fullmatch(r"What the service serves is unknown: http://[\d.:]+ doesn't answer \(\w+\)\.", sentence)
    with httpx.Client(base_url=f"{airflow}/penguins/", timeout=60) as anybody:
        assert anybody.get("api/service").status_code == 401


def test_the_room_on_the_disk_is_told_at_once(ada: httpx.Client, airflow: str) -> None:
    with httpx.Client(base_url=f"{airflow}/penguins/", timeout=60) as anybody:
        assert anybody.get("api/disk").status_code == 401
    began = time.monotonic()
    disk = ada.get("api/disk").raise_for_status().json()
    assert time.monotonic() - began < 1
    assert 0 < disk["free"] < disk["total"]
    assert disk["wanted_percent"] == 10


def test_alerts_need_their_token(airflow: str) -> None:
    answer = httpx.post(f"{airflow}/penguins/alerts", json={}, timeout=60)
    assert (answer.status_code, answer.json()["detail"]) == (401, "PENGUINS_ALERTS_TOKEN is another one")
    headers = {"Authorization": "Bearer of the alerts"}
    assert httpx.post(f"{airflow}/penguins/alerts", json={}, headers=headers, timeout=60).status_code == 422


def test_prometheus_reads_the_gauges_without_a_login(airflow: str) -> None:
    answer = httpx.get(f"{airflow}/penguins/metrics", timeout=60)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "# TYPE penguins_monitoring_drifted gauge" in answer.text
    assert "# TYPE penguins_dag_failed gauge" in answer.text


def test_a_dag_that_was_deleted_has_no_gauge(airflow: str, stack: Stack) -> None:
    """Or it would be the one that failed for ever."""
    names = ["deleted_training", "kept_training"]
    with connect_as_superuser(stack, "airflow") as connection:
        connection.execute("INSERT INTO dag_bundle (name) VALUES ('of a test')")
        connection.execute(
            """INSERT INTO dag (dag_id, is_stale, is_paused, bundle_name, timetable_type, partition_mapper_info,
                   max_active_tasks, max_consecutive_failed_dag_runs, has_task_concurrency_limits)
               SELECT name, name ~ 'deleted', false, 'of a test', '', '{}', 1, 0, false
               FROM unnest(%s::text[]) AS name""",
            [names],
        )
        connection.execute(
            """INSERT INTO dag_run (dag_id, run_id, state, run_type, run_after)
               SELECT name, 'manual__1', 'failed', 'manual', now() FROM unnest(%s::text[]) AS name""",
            [names],
        )
        try:
            text = httpx.get(f"{airflow}/penguins/metrics", timeout=60).text
        finally:
            connection.execute("DELETE FROM dag_run WHERE dag_id = ANY(%s)", [names])
            connection.execute("DELETE FROM dag WHERE dag_id = ANY(%s)", [names])
            connection.execute("DELETE FROM dag_bundle WHERE name = 'of a test'")
    assert 'penguins_dag_failed{dag_id="kept_training"} 1.0' in text
    assert "deleted_training" not in text

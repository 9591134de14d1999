"""Promotion by a person on the containers: the page's permissions and the commands."""

from typing import Any

import httpx
import pytest

from tests.compose.stack import ComposeStack, run
from tests.e2e.deployment import MODEL, Deployment
from tests.e2e.test_main_job import aliases
from tests.e2e.test_promotion import (  # noqa: F401
    test_a_person_promotes_past_the_gate,
    test_tasks_link_to_their_results_in_mlflow,
)

pytestmark = pytest.mark.usefixtures("first_run")

PAGE = "/penguins/api/"
# A version that doesn't exist: a permitted request gets an error, and nothing changes.
MISSING_VERSION = {"version": "99999", "reason": "why not", "expected_champion": None}
REASON = """-50% and $500, $(touch /tmp/x): "worse" isn't \\better # [/b]"""
PASSWORD = "another-one-of-16"
ROLES = ("Viewer", "User")
# Airflow's own command for each role, after one import of Airflow.
CREATE = """
import sys
from airflow.cli.cli_parser import get_parser
for role in sys.argv[2:]:
    name = ["--username", role.lower(), "--firstname", role, "--lastname", role, "--email", f"{role}@example.com"]
    arguments = get_parser().parse_args(["users", "create", "--role", role, "--password", sys.argv[1], *name])
    arguments.func(arguments)
"""


@pytest.fixture(scope="module")
def page(compose: ComposeStack, deployment: Deployment) -> dict[str, httpx.Client]:
    """Clients of the page's API: without a login, as the administrator, and with two more roles of Airflow."""
    del deployment  # requested only to wait for Airflow
    address = compose.url("AIRFLOW_PORT")
    passwords = {"admin": compose.variables["AIRFLOW_PASSWORD"]}
    compose.execute("airflow-scheduler", "python", "-c", CREATE, PASSWORD, *ROLES)
    passwords |= {role.lower(): PASSWORD for role in ROLES}
    clients = {"nobody": httpx.Client(base_url=address, timeout=60)}
    for name, password in passwords.items():
        answer = httpx.post(f"{address}/auth/token", json={"username": name, "password": password}, timeout=60)
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        clients[name] = httpx.Client(base_url=address, timeout=60, headers=headers)
    return clients


def overview(page: dict[str, httpx.Client], name: str) -> dict[str, Any]:
    return dict(page[name].get(f"{PAGE}overview").raise_for_status().json())


@pytest.mark.parametrize(
    ("name", "may_look", "promoting"),
    [("nobody", 401, 401), ("viewer", 200, 403), ("user", 200, 409), ("admin", 200, 409)],
)
def test_the_page_enforces_the_permissions_of_each_role(
    page: dict[str, httpx.Client], name: str, may_look: int, promoting: int
) -> None:
    assert page[name].get(f"{PAGE}overview").status_code == may_look
    assert page[name].post(f"{PAGE}promote", json=MISSING_VERSION).status_code == promoting


def test_the_page_names_the_champion(deployment: Deployment, page: dict[str, httpx.Client]) -> None:
    shown = {name: overview(page, name) for name in ("viewer", "user", "admin")}
    assert {each["production"] for each in shown.values()} == {aliases(deployment)["production"]}
    assert {name: each["may_change"] for name, each in shown.items()} == {"viewer": False, "user": True, "admin": True}


@pytest.fixture(scope="module")
def challenger(deployment: Deployment, second_run: tuple[str, str, str]) -> str:
    """A version that isn't better than the one that was in Production."""
    run, before, after = second_run
    version = deployment.mlflow.version_of(MODEL, run)
    assert version is not None
    assert before == after != version.number
    return version.number


def decisions(deployment: Deployment) -> list[tuple[Any, ...]]:
    """Return all decisions, the latest first."""
    return deployment.query("SELECT who, action, reason FROM audit.promotions ORDER BY id DESC")


def test_the_commands_promote_roll_back_and_list(
    compose: ComposeStack, deployment: Deployment, challenger: str
) -> None:
    who, champion = run("id", "-un").strip(), aliases(deployment)["production"]
    promoted = compose.make("compose-promote", VERSION=challenger, REASON=REASON)
    assert promoted == f"Version {challenger} is in Production.\n"
    assert aliases(deployment)["production"] == challenger
    assert compose.make("compose-rollback", REASON=REASON) == f"Version {champion} is in Production again.\n"
    assert aliases(deployment)["production"] == champion
    assert decisions(deployment)[:2] == [
        (who, "rollback", f"rolled back from version {challenger}: {REASON}"),
        (who, "promote", REASON),
    ]
    shown = [line.rstrip() for line in compose.make("compose-models").splitlines()]
    assert any(line.split()[:2] == [champion, "Production"] for line in shown)
    assert any(who in line and line.endswith(f" {REASON}") for line in shown)


@pytest.mark.parametrize(("by", "who"), [([], "uid 54321"), (["--by", "ada"], "ada")])
def test_a_decision_of_a_user_without_a_name_is_recorded(
    compose: ComposeStack, deployment: Deployment, challenger: str, by: list[str], who: str
) -> None:
    """Run the commands under a user id without a name, as some clusters do."""
    nameless = ("exec", "--no-TTY", "--user", "54321", "airflow-scheduler", "python", "-m", "penguins")
    compose.compose(*nameless, "promote", challenger, "--reason", "x", *by)
    assert decisions(deployment)[0] == (who, "promote", "x")
    compose.compose(*nameless, "rollback", "--reason", "y", *by)
    assert decisions(deployment)[0] == (who, "rollback", f"rolled back from version {challenger}: y")

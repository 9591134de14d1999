"""A person's promotion on the containers; the page's permissions, and the commands."""

from typing import Any

import httpx
import pytest

from local.pipeline import MODEL
from tests.compose.stack import PROJECT, ComposeStack, run
from tests.e2e.deployment import Deployment
from tests.e2e.test_main_job import aliases
from tests.e2e.test_promotion import (  # noqa: F401
    test_a_person_promotes_past_the_gate,
    test_tasks_lead_to_what_they_left_in_mlflow,
)

pytestmark = pytest.mark.usefixtures("first_run")

PAGE = "/penguins/api/"
# A version that isn't there: who may promote is told so, and nothing changes.
WISH = {"version": "99999", "reason": "why not", "instead_of": None}
REASON = """-50% and $500, $(touch /tmp/x): "worse" isn't \\better # [/b]"""
PASSWORD = "another-one-of-16"


@pytest.fixture(scope="module")
def page(compose: ComposeStack, deployment: Deployment) -> dict[str, httpx.Client]:
    """The page's API as it is asked by nobody, by the administrator, and by people of two more roles of Airflow."""
    del deployment  # Airflow is up
    address = compose.url("AIRFLOW_PORT")
    passwords = {"admin": compose.variables["AIRFLOW_PASSWORD"]}
    for role in ("Viewer", "User"):
        name = role.lower()
        person = ("--firstname", role, "--lastname", role, "--email", f"{name}@example.com")
        account = ("--username", name, "--role", role, "--password", PASSWORD)
        compose.execute("airflow-scheduler", "airflow", "users", "create", *account, *person)
        passwords[name] = PASSWORD
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
def test_the_page_lets_a_role_do_what_it_may(
    page: dict[str, httpx.Client], name: str, may_look: int, promoting: int
) -> None:
    assert page[name].get(f"{PAGE}overview").status_code == may_look
    assert page[name].post(f"{PAGE}promote", json=WISH).status_code == promoting


def test_the_page_names_the_champion(deployment: Deployment, page: dict[str, httpx.Client]) -> None:
    shown = {name: overview(page, name) for name in ("viewer", "user", "admin")}
    assert {each["production"] for each in shown.values()} == {aliases(deployment)["production"]}
    assert {name: each["may_change"] for name, each in shown.items()} == {"viewer": False, "user": True, "admin": True}


@pytest.fixture(scope="module")
def challenger(deployment: Deployment) -> str:
    """A version as good as the one in Production, which stays."""
    champion = aliases(deployment)["production"]
    version = deployment.mlflow.version_of(MODEL, deployment.run()[0])
    assert version is not None
    assert aliases(deployment)["production"] == champion  # a tie
    return version.number


def decisions(deployment: Deployment) -> list[tuple[Any, ...]]:
    """The last first."""
    return deployment.query("SELECT who, action, reason FROM audit.promotions ORDER BY id DESC")


def test_the_commands(compose: ComposeStack, deployment: Deployment, challenger: str) -> None:
    """`make compose-…`, which find the stack by Compose's own variables."""

    def make(target: str, **variables: str) -> str:
        known = compose.variables | {"COMPOSE_PROJECT_NAME": PROJECT, "COLUMNS": "1000"} | variables
        return run("env", *(f"{name}={value}" for name, value in known.items()), "make", target)

    who, champion = run("id", "-un").strip(), aliases(deployment)["production"]
    promoted = make("compose-promote", VERSION=challenger, REASON=REASON)
    assert promoted == f"Version {challenger} is in Production.\n"
    assert aliases(deployment)["production"] == challenger
    assert make("compose-rollback", REASON=REASON) == f"Version {champion} is in Production again.\n"
    assert aliases(deployment)["production"] == champion
    assert decisions(deployment)[:2] == [
        (who, "rollback", f"rolled back from version {challenger}: {REASON}"),
        (who, "promote", REASON),
    ]
    shown = [line.rstrip() for line in make("compose-models").splitlines()]
    assert any(line.split()[:2] == [champion, "Production"] for line in shown)
    assert any(who in line and line.endswith(f" {REASON}") for line in shown)


@pytest.mark.parametrize(("by", "who"), [([], "uid 54321"), (["--by", "ada"], "ada")])
def test_who_has_no_name_decides_all_the_same(
    compose: ComposeStack, deployment: Deployment, challenger: str, by: list[str], who: str
) -> None:
    """As in a cluster that runs containers under numbers of its own."""
    nameless = ("exec", "--no-TTY", "--user", "54321", "airflow-scheduler", "python", "-m", "penguins")
    compose.compose(*nameless, "promote", challenger, "--reason", "x", *by)
    assert decisions(deployment)[0] == (who, "promote", "x")
    compose.compose(*nameless, "rollback", "--reason", "y", *by)
    assert decisions(deployment)[0] == (who, "rollback", f"rolled back from version {challenger}: y")

"""A real Airflow API server behind a path prefix, with two users, and two versions to promote."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import psutil
import psycopg
import pytest
from mlflow import MlflowClient

from local import environment
from local.ports import free_ports
from local.settings import REPO
from local.stack import Stack
from tests.contract.odcs.conftest import WINE
from tests.receiver import Receiver, receiving
from tests.server import running
from tests.serving import wide
from tests.serving.publisher import Publisher, forest

MODEL = "shown_on_the_page"
PASSWORDS = {"ada": "may change", "vera": "may look"}
PREFIX = "/team/airflow"


@pytest.fixture(scope="package")
def told() -> Iterator[Receiver]:
    """The receiver of the API server's notices."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="package")
def airflow(stack: Stack, told: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an API server with the administrator ada and the viewer vera."""
    stack.start("airflow-migrate")
    folder, (port,) = tmp_path_factory.mktemp("airflow"), free_ports(1)
    url = f"http://127.0.0.1:{port}{PREFIX}"
    (folder / "passwords.json").write_text(json.dumps(PASSWORDS))
    contracts = folder / "contracts"
    shutil.copytree(REPO / "contracts", contracts)
    (contracts / "wine.yaml").write_text(WINE)
    options = {
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "ada:admin,vera:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "passwords.json"),
        "PENGUINS_CONTRACTS_DIR": str(contracts),
        "PENGUINS_MODEL_NAME": MODEL,
        "PENGUINS_ALERTS_TOKEN": "of the alerts",
        "PENGUINS_NOTIFY_URL": told.url,
    }
    variables = environment.inherited(stack.config) | environment.airflow(stack.config) | options
    health = f"{url}/api/v2/version"
    with running("airflow", "api-server", variables=variables, log=folder / "log", health=health):
        yield url


@pytest.fixture(scope="package")
def published(stack: Stack) -> list[str]:
    """Two versions without a verdict."""
    publisher = Publisher(stack.urls["mlflow"], MODEL, stack.config.credentials.signing_key)
    return [publisher.publish_by_hand(forest(seed)) for seed in (0, 1)]


@pytest.fixture(scope="package")
def ada(airflow: str) -> httpx.Client:
    return client(airflow, "ada")


def processes(stack: Stack, name: str) -> list[psutil.Process]:
    process = psutil.Process(stack.states()[name].pid)
    return [process, *process.children(recursive=True)]


def client(airflow: str, user: str) -> httpx.Client:
    answer = httpx.post(f"{airflow}/auth/token", json={"username": user, "password": PASSWORDS[user]})
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    return httpx.Client(base_url=f"{airflow}/penguins/", headers=headers, timeout=60)


@pytest.fixture
def first(ada: httpx.Client, published: list[str]) -> str:
    """Put version 1 in Production, after any other test."""
    now = ada.get("api/overview").json()["production"]
    if now != published[0]:
        body = {"version": published[0], "reason": "for the next test", "expected_champion": now}
        ada.post("api/promote", json=body).raise_for_status()
    return published[0]


@pytest.fixture
def asked(stack: Stack, first: str) -> Iterator[str]:
    """A third version that the page asks about, while version 1 is in Production. It has fifty classes."""
    mlflow = MlflowClient(stack.urls["mlflow"])
    model = mlflow.get_model_version(MODEL, "2")
    model_id = model.source.removeprefix("models:/")
    version = mlflow.create_model_version(MODEL, model.source, model.run_id, model_id=model_id)
    recalls = {name: [0.9, 0.8] for name in wide.CLASSES}
    numbers = {"accuracy": 0.9, "rows": 69, "champion": first, "champion_accuracy": 0.95, "recalls": recalls}
    created = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
    with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as connection:
        connection.execute(
            """INSERT INTO audit.verdicts
                   (model, version, version_created_at, champion, promote, reason, numbers, asked)
               VALUES (%s, %s, %s, %s, false, 'not better than version 1', %s, true)""",
            [MODEL, version.version, created, first, json.dumps(numbers)],
        )
    yield str(version.version)
    mlflow.delete_model_version(MODEL, version.version)

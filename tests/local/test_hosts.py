"""The Host header: a page under a foreign name must not read a program by DNS rebinding."""

import httpx
import pytest

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"


def status_of(url: str, host: str) -> int:
    return httpx.get(url, headers={"Host": host}).status_code


@pytest.mark.parametrize("host", ["10.evil.example", "192.168.evil.example:5001", "10.0.0.1", "evil.example"])
def test_mlflow_refuses_foreign_hosts(stack, host):
    assert {status_of(stack.urls["mlflow"] + path, host) for path in ("/", SEARCH, "/graphql")} == {403}


def test_mlflow_answers_under_its_own_names_and_port_only(stack):
    url, port = stack.urls["mlflow"] + SEARCH, stack.config.settings.mlflow_port
    assert {name: status_of(url, f"{name}:{port}") for name in ("localhost", "127.0.0.1")} == {
        "localhost": 200,
        "127.0.0.1": 200,
    }
    assert status_of(url, f"localhost:{port + 1}") == 403


def test_airflow_refuses_foreign_hosts(whole):
    url, port = whole.urls["airflow-api-server"], whole.config.settings.airflow_port
    paths = ("/", "/api/v2/version", "/auth/login", "/execution/health", "/penguins/")
    for host in ("10.evil.example", f"evil.example:{port}"):
        assert {status_of(url + path, host) for path in paths} == {400}
    for host in (f"localhost:{port}", f"127.0.0.1:{port}"):
        assert status_of(f"{url}/api/v2/version", host) == 200

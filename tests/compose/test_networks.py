"""Networks, secrets and rights of the containers."""

import json
import subprocess

import pytest

from tests.compose.stack import PORTS, ComposeStack, name_of

CONNECT = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor

def reached(host, port):
    try:
        socket.create_connection((host, int(port)), timeout=3)
    except (socket.gaierror, TimeoutError):
        return ""
    return host

with ThreadPoolExecutor() as pool:  # a name that isn't known on a network without a way out is waited for as well
    print(*pool.map(reached, sys.argv[1::2], sys.argv[2::2]))
"""
ADDRESSES = {
    "postgres": "5432",
    "minio": "9000",
    "mlflow": "5000",
    "airflow-api-server": "8080",
    "api": "8000",
    "jupyterlab": "8888",
}
REACHES = {
    "api": {"mlflow", "airflow-api-server", "api", "jupyterlab"},
    "mlflow": {"postgres", "minio", "mlflow", "airflow-api-server", "api", "jupyterlab"},
    "jupyterlab": {"postgres", "mlflow", "airflow-api-server", "api", "jupyterlab"},
    "airflow-scheduler": {"postgres", "mlflow", "airflow-api-server", "api", "jupyterlab"},
    "shipper": {"postgres", "mlflow", "airflow-api-server", "jupyterlab"},
}


@pytest.mark.parametrize("service", REACHES)
def test_a_service_reaches_only_what_it_needs(compose: ComposeStack, service: str) -> None:
    addresses = [part for address in ADDRESSES.items() for part in address]
    assert set(compose.execute(service, "python", "-c", CONNECT, *addresses).split()) == REACHES[service]


def holders(compose: ComposeStack, secret: str) -> set[str]:
    value = compose.variables[secret]
    return {
        name_of(container)
        for container in compose.containers()
        if any(value in variable for variable in container["Config"]["Env"])
    }


def test_secrets_are_only_in_the_containers_that_need_them(compose: ComposeStack) -> None:
    assert holders(compose, "MINIO_ROOT_PASSWORD") == {"minio", "create-bucket", "mlflow"}
    assert holders(compose, "POSTGRES_PASSWORD") == {"postgres", "init-db"}
    assert holders(compose, "MLFLOW_DB_PASSWORD") == {"init-db", "mlflow"}
    assert holders(compose, "AIRFLOW_PASSWORD") == {"airflow-init"}
    assert holders(compose, "EDGE_PASSWORD") == {"edge"}
    assert holders(compose, "SHIPPER_DB_PASSWORD") == {"init-db", "shipper"}
    assert {name for name in holders(compose, "PENGUINS_ALERTS_TOKEN") if "airflow" not in name} == {"alertmanager"}
    assert all("airflow" in name for name in holders(compose, "PENGUINS_NOTIFY_URL"))
    assert not {"api", "shipper"} & holders(compose, "PENGUINS_DB_PASSWORD")


def test_a_role_reaches_its_own_database_only(compose: ComposeStack) -> None:
    connect = "import os, psycopg; psycopg.connect(os.environ['AIRFLOW_CONN_PENGUINS_DB'], dbname='{}')"
    compose.execute("jupyterlab", "python", "-c", connect.format("penguins"))
    for database in ("airflow", "mlflow", "postgres"):
        with pytest.raises(subprocess.CalledProcessError) as refused:
            compose.execute("jupyterlab", "python", "-c", connect.format(database))
        assert f'permission denied for database "{database}"' in refused.value.stderr


def test_only_the_documented_ports_are_published_and_on_loopback(compose: ComposeStack) -> None:
    published = [
        (binding["HostIp"], binding["HostPort"])
        for container in compose.containers()
        for bindings in (container["HostConfig"]["PortBindings"] or {}).values()
        for binding in bindings
    ]
    assert sorted(published) == sorted(("127.0.0.1", compose.variables[port]) for port in PORTS)


def test_containers_have_minimal_rights(compose: ComposeStack) -> None:
    for container in compose.containers():
        service, host = name_of(container), container["HostConfig"]
        assert host["CapDrop"] == ["ALL"], service
        assert host["SecurityOpt"] == ["no-new-privileges:true"], service
        assert (container["Config"]["User"] not in ("", "root", "0")) == (service != "minio"), service
        if container["State"]["Running"]:
            assert host["Memory"] > 0, service
            assert host["RestartPolicy"]["Name"] == "unless-stopped", service
    for name in ("alertmanager", "api", "edge", "mlflow", "prometheus", "shipper"):
        assert compose.containers(name)[0]["HostConfig"]["ReadonlyRootfs"], name
    # large tables go to the volume, because /tmp is memory
    found = compose.execute("api", "python", "-c", "import tempfile; print(tempfile.gettempdir())")
    assert found == "/var/cache/penguins/tmp\n"


def test_the_notebook_has_the_library_and_requires_its_token(compose: ComposeStack) -> None:
    found = compose.execute(
        "jupyterlab", "python", "-c", "import penguins, mlflow, json, os; print(json.dumps(os.listdir()))"
    )
    assert "Dockerfile" in json.loads(found)
    ask = "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:8888/api/contents{}').status)"
    assert compose.execute("jupyterlab", "python", "-c", ask.format(f"?token={compose.variables['JUPYTER_TOKEN']}"))
    with pytest.raises(subprocess.CalledProcessError) as refused:
        compose.execute("jupyterlab", "python", "-c", ask.format(""))
    assert "403: Forbidden" in refused.value.stderr

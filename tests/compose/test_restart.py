"""The stack keeps its data through restarts, crashes and changed passwords."""

from typing import Any

import pytest

from local.waiting import until
from tests.compose.stack import PROJECT, ComposeStack, run
from tests.e2e.deployment import DAG, MODEL, PENGUIN, Deployment

KILL = ("sh", "-c", "kill -9 $(cat /proc/1/task/1/children)")
CRASHES = {
    "api": KILL,
    "shipper": KILL,
    "mlflow": KILL,
    "airflow-scheduler": KILL,
    "postgres": ("pg_ctl", "stop", "--mode=immediate"),
}


def everything(deployment: Deployment) -> dict[str, Any]:
    champion = deployment.mlflow.production(MODEL)
    assert champion is not None
    until(lambda: deployment.service.version() == champion.number, "the service to serve the champion")
    return {
        "rows": deployment.query("SELECT count(*), sum(body_mass_g) FROM penguins_processed"),
        "runs": deployment.airflow_api.get(f"/api/v2/dags/{DAG}/dagRuns")["total_entries"],
        "champion": champion.number,
        "files": sorted(deployment.objects("")),
        "answer": deployment.service.predict(PENGUIN)["model_version"],
    }


def wait_until_well(compose: ComposeStack) -> None:
    until(lambda: not compose.unwell(), "every container to be healthy")


@pytest.mark.usefixtures("first_run")
def test_a_restart_keeps_the_data(compose: ComposeStack, deployment: Deployment) -> None:
    before = everything(deployment)
    compose.compose("restart")
    wait_until_well(compose)
    assert everything(compose.deployment()) == before


@pytest.mark.usefixtures("first_run")
def test_crashed_services_are_restarted(compose: ComposeStack, deployment: Deployment) -> None:
    before = everything(deployment)
    restarts = {service: compose.containers(service)[0]["RestartCount"] for service in CRASHES}
    for service, command in CRASHES.items():
        container = compose.containers(service)[0]["Id"]
        run("docker", "exec", "--detach", container, *command)
    for service, count in restarts.items():
        until(
            lambda service=service, count=count: compose.containers(service)[0]["RestartCount"] > count,
            f"the restart of {service}",
        )
    wait_until_well(compose)
    assert everything(compose.deployment()) == before


def test_no_container_creates_an_anonymous_volume(compose: ComposeStack) -> None:
    names = [mount.get("Name", "") for item in compose.containers() for mount in item["Mounts"]]
    assert all(name.startswith(PROJECT) for name in names if name)


def test_starting_again_changes_nothing(compose: ComposeStack) -> None:
    def lasting() -> dict[str, str]:
        return {item["Id"]: item["State"]["StartedAt"] for item in compose.containers() if item["State"]["Running"]}

    before = lasting()
    compose.up()
    assert lasting() == before

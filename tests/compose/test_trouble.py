"""Every problem is reported in one line, also by the doctor."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.waiting import until
from ops import dotenv, env
from ops.doctor import examine
from tests.compose.stack import PROJECT, ComposeStack, run
from tests.e2e.deployment import Deployment
from tests.run import note_project

OTHER = "penguins-test-other"


def diagnosis(env_file: Path, monkeypatch: pytest.MonkeyPatch, project: str = PROJECT) -> str:
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", project)
    return "\n".join(str(finding) for finding in examine(env_file))


def test_a_healthy_stack_has_no_problems(compose: ComposeStack, monkeypatch: pytest.MonkeyPatch) -> None:
    found = diagnosis(compose.env_file, monkeypatch)
    assert "FAIL" not in found
    assert "every container is well" in found


@pytest.mark.parametrize("name", [name for name in env.required() if not name.startswith("LAB_")])
def test_a_variable_without_value_stops_compose(compose: ComposeStack, tmp_path: Path, name: str) -> None:
    lines = [line for line in compose.env_file.read_text().splitlines() if not line.startswith(f"{name}=")]
    (tmp_path / "other.env").write_text("\n".join([*lines, f"{name}="]))
    with pytest.raises(subprocess.CalledProcessError) as stopped:
        compose.compose("config", "--quiet", env_file=tmp_path / "other.env")
    assert f"required variable {name} is missing a value: run make env" in stopped.value.stderr
    assert len(stopped.value.stderr.splitlines()) == 1


def test_a_taken_port_is_reported(compose: ComposeStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (tmp_path / ".env").write_text(f"{compose.env_file.read_text()}MLFLOW_PORT={port}\n")
        (tmp_path / ".env").chmod(0o600)
        found = diagnosis(tmp_path / ".env", monkeypatch)
    assert f"port {port}, for mlflow, is taken by another program" in found


@pytest.fixture
def old_volume() -> Iterator[str]:
    """A project with a volume of PostgreSQL 16."""
    volume = f"{OTHER}_postgres"
    note_project(OTHER)
    run("docker", "volume", "create", volume)
    write = ("sh", "-c", "echo 16 > $PGDATA/PG_VERSION")
    run("docker", "run", "--rm", "-v", f"{volume}:/var/lib/postgresql/data", "postgres:17", *write)
    yield OTHER
    run("docker", "volume", "rm", "--force", volume)


def test_a_volume_of_another_major_version_is_reported(
    compose: ComposeStack, old_volume: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "The volume holds data of PostgreSQL 16, this image is PostgreSQL 17"
    options = ("--project-name", old_volume, "--env-file", str(compose.env_file))
    try:
        with pytest.raises(subprocess.CalledProcessError) as stopped:
            run("docker", "compose", *options, "up", "--detach", "--wait", "init-db")
        assert "postgres-volume" in stopped.value.stderr
        (logged,) = run("docker", "compose", *options, "logs", "--no-log-prefix").splitlines()
        assert line in logged
        assert line in diagnosis(compose.env_file, monkeypatch, old_volume)
    finally:
        run("docker", "compose", *options, "down", "--volumes")


def test_wrong_keys_for_s3_are_reported(compose: ComposeStack) -> None:
    with pytest.raises(subprocess.CalledProcessError) as stopped:
        compose.compose("run", "--rm", "--no-deps", "--no-TTY", "-e", "AWS_SECRET_ACCESS_KEY=wrong", "create-bucket")
    (line,) = stopped.value.stderr.splitlines()
    assert line.startswith("S3 at http://minio:9000 refuses the bucket mlflow-artifacts: ")
    assert "(SignatureDoesNotMatch)" in line


def test_a_wrong_database_password_is_reported(compose: ComposeStack, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{compose.env_file.read_text()}POSTGRES_PASSWORD=not-that-of-the-volume\n")
    with pytest.raises(subprocess.CalledProcessError) as stopped:
        compose.compose("run", "--rm", "--no-deps", "--no-TTY", "init-db", env_file=tmp_path / ".env")
    assert 'FATAL:  password authentication failed for user "postgres"' in stopped.value.stderr
    assert dotenv.parse((tmp_path / ".env").read_text())["POSTGRES_PASSWORD"] not in stopped.value.stderr


def test_an_outage_of_mlflow_is_reported(
    compose: ComposeStack, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: deployment.start("mlflow"))
    before = len(compose.log("api"))
    deployment.stop("mlflow")
    until(lambda: len(compose.log("api")) > before, "a log line of the service")
    lines = compose.log("api")[before:]
    assert all("registry.unavailable" in line for line in lines)
    assert len(lines) <= 2  # one for each model
    assert "mlflow is exited" in diagnosis(compose.env_file, monkeypatch)

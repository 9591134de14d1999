"""The unmodified compose file as a project of its own: own ports, secrets, data and images."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.ports import free_ports
from ops import dotenv, env
from tests import run as suite
from tests.e2e.deployment import Deployment, deployment

PROJECT = "penguins-test"
PORTS = ("AIRFLOW_PORT", "MLFLOW_PORT", "API_PORT", "LAB_PORT", "S3_PORT", "S3_CONSOLE_PORT")
PATIENCE = 1200  # seconds; the first build downloads everything
# What compose calls the services that the embedded stack calls otherwise.
SERVICES = {"s3": "minio"}
QUERY = """
import json, os, sys, psycopg
with psycopg.connect(os.environ["AIRFLOW_CONN_PENGUINS_DB"]) as connection:
    print(json.dumps(connection.execute(sys.argv[1]).fetchall(), default=str))
"""


class ComposeStack:
    """One project. Its methods raise CalledProcessError when Docker refuses."""

    def __init__(self, folder: Path) -> None:
        self.env_file = folder / "test.env"
        self.data = folder / "data"
        self.data.mkdir(mode=0o755)
        env.complete(self.env_file)
        self.set(PENGUINS_DATA_DIR=str(self.data))
        self.set(PENGUINS_RETRY_SECONDS="2", TASK_HEARTBEAT_TIMEOUT="20")
        self.set(**{name: str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)})

    @property
    def variables(self) -> dict[str, str]:
        """What the .env file says."""
        return dotenv.parse(self.env_file.read_text())

    def set(self, **variables: str) -> None:
        """Change the .env file: of two lines with one name the last counts."""
        with self.env_file.open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in variables.items())

    def url(self, port: str) -> str:
        """Base URL of the service behind the port of this name."""
        return f"http://127.0.0.1:{self.variables[port]}"

    def compose(self, *arguments: str, env_file: Path | None = None) -> str:
        """Run a command of Compose; returns what it wrote."""
        command = ("docker", "compose", "--project-name", PROJECT, "--env-file", str(env_file or self.env_file))
        return run(*command, *arguments)

    def up(self, *arguments: str, workers: int = 0) -> None:
        """Build and start everything, on Celery if there are to be workers, and wait until it is healthy."""
        celery = ("--scale", f"airflow-worker={workers}") if workers else ()
        self.set(AIRFLOW_EXECUTOR="CeleryExecutor" if workers else "LocalExecutor")
        self.set(COMPOSE_PROFILES="celery" if workers else "")
        self.compose("up", "--detach", "--build", "--wait", *celery, *arguments)

    def down(self, *arguments: str) -> None:
        """Remove every container."""
        self.compose("--profile", "*", "down", "--remove-orphans", *arguments)

    def containers(self, service: str = "") -> list[dict[str, Any]]:
        """Every container, or those of one service, as `docker inspect` describes them."""
        ids = self.compose("--profile", "*", "ps", "--all", "--quiet", *filter(None, [service])).split()
        return list(json.loads(run("docker", "inspect", *ids))) if ids else []

    def execute(self, service: str, *command: str) -> str:
        """Run a command in a running container; returns what it wrote."""
        return self.compose("exec", "--no-TTY", service, *command)

    def log(self, service: str) -> list[str]:
        """The lines that the service has logged."""
        return self.compose("logs", "--no-log-prefix", "--no-color", service).splitlines()

    def unwell(self) -> list[str]:
        """The services with a container that is neither healthy nor a one-shot that ended well."""
        return [name_of(container) for container in self.containers() if not _is_well(container["State"])]

    def deployment(self) -> Deployment:
        """The stack as the end-to-end checks see it."""
        variables = self.variables

        def upload(name: str, text: str) -> str:
            (self.data / name).write_text(text)
            return f"/data/{name}"

        return deployment(
            airflow=(self.url("AIRFLOW_PORT"), "admin", variables["AIRFLOW_PASSWORD"]),
            mlflow=self.url("MLFLOW_PORT"),
            service=self.url("API_PORT"),
            s3=(self.url("S3_PORT"), variables["MINIO_ROOT_USER"], variables["MINIO_ROOT_PASSWORD"]),
            query=self._query,
            upload=upload,
            stop=lambda name: self._one(name, "stop"),
            start=lambda name: self._one(name, "up", "--detach", "--wait", "--no-deps"),
            identity=lambda: self.containers("api")[0]["State"]["StartedAt"],
            scheduler_log=lambda: "\n".join(self.log("airflow-scheduler")),
        )

    def _query(self, statement: str) -> list[tuple[Any, ...]]:
        rows = json.loads(self.execute("airflow-scheduler", "python", "-c", QUERY, statement))
        return [tuple(row) for row in rows]

    def _one(self, name: str, *command: str) -> None:
        self.compose(*command, SERVICES.get(name, name))


def run(*command: str) -> str:
    """Run a command that knows nothing of the settings in our shell; returns what it wrote."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    kept |= {name: value for name, value in os.environ.items() if name.startswith(("DOCKER_", suite.MARK))}
    result = subprocess.run(command, cwd=env.REPO, env=kept, capture_output=True, text=True, timeout=PATIENCE)
    if result.returncode != 0:
        error = subprocess.CalledProcessError(result.returncode, command, result.stdout, result.stderr)
        error.add_note(result.stderr[-2000:])
        raise error
    return result.stdout


def name_of(container: dict[str, Any]) -> str:
    """The service that the container is of."""
    return str(container["Config"]["Labels"]["com.docker.compose.service"])


def _is_well(state: dict[str, Any]) -> bool:
    if "Health" in state:
        return bool(state["Running"] and state["Health"]["Status"] == "healthy")
    return bool(state["Status"] == "exited" and state["ExitCode"] == 0)


@contextmanager
def running(folder: Path) -> Iterator[ComposeStack]:
    """The whole stack, until the end of the block; then nothing of it is left."""
    stack = ComposeStack(folder)
    suite.note_project(PROJECT)
    stack.down("--volumes")  # what a run that was killed has left
    try:
        stack.up()
        yield stack
    finally:
        stack.down("--volumes", "--rmi", "local")

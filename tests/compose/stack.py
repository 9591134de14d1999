"""The unmodified compose file as a separate project, with its own ports, secrets, data and images."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.ports import free_ports
from local.waiting import until
from ops import dotenv, env
from tests import run as suite
from tests import schedules
from tests.e2e.deployment import Deployment, deployment

PROJECT = "penguins-test"
PORTS = (
    "AIRFLOW_PORT",
    "MLFLOW_PORT",
    "API_PORT",
    "LAB_PORT",
    "S3_PORT",
    "S3_CONSOLE_PORT",
    "PROMETHEUS_PORT",
    "ALERTMANAGER_PORT",
    "EDGE_PORT",
    "EDGE_HTTP_PORT",
)
TIMEOUT = 1200  # seconds; the first build downloads everything
# Name in the embedded stack → name in the compose file, if different.
SERVICES = {"s3": "minio"}
QUERY = """
import json, os, sys, psycopg
with psycopg.connect(os.environ["AIRFLOW_CONN_PENGUINS_DB"]) as connection:
    print(json.dumps(connection.execute(sys.argv[1]).fetchall(), default=str))
"""
# Keeps the notices that people would get, as tests/receiver.py does; in a container, because none reaches this machine.
RECEIVER = """
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        with open("/tmp/notices", "ab") as file:
            file.write(self.rfile.read(int(self.headers["Content-Length"])) + b"\\n")
        self.send_response(200)
        self.end_headers()

HTTPServer(("", 9999), Handler).serve_forever()
"""
# The names in the paths of what the container's program, whose forks run the tasks, has in memory.
IN_MEMORY = """
import psutil
program, *_ = psutil.Process(1).children()  # of docker-init
print(*{name for each in program.memory_maps() for name in each.path.split("/")})
"""


class ComposeStack:
    """One project. Its methods raise CalledProcessError if a command of Docker fails."""

    def __init__(self, folder: Path, project: str = PROJECT) -> None:
        self._project = project
        self.env_file = folder / "test.env"
        self.data, self.contracts, models = (folder / name for name in ("data", "contracts", "models"))
        for made in (self.data, models):
            made.mkdir(mode=0o755)
        shutil.copytree(env.REPO / "contracts", self.contracts)
        env.complete(self.env_file)
        self.set(PENGUINS_DATA_DIR=str(self.data), PENGUINS_CONTRACTS_DIR=str(self.contracts))
        self.set(PENGUINS_MODELS_DIR=str(models))
        self.set(PENGUINS_RETRY_SECONDS="2", TASK_HEARTBEAT_TIMEOUT="20", PENGUINS_MONITORING_WINDOW="31d")
        self.set(PENGUINS_NOTIFY_URL="json://jupyterlab:9999", EDGE_DOMAIN="localhost")
        self.set(PENGUINS_SCHEDULE=schedules.far_off())
        self.set(**{name: str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)})

    @property
    def variables(self) -> dict[str, str]:
        """Variables of the .env file."""
        return dotenv.parse(self.env_file.read_text())

    def set(self, **variables: str) -> None:
        """Append variables to the .env file; the last of two lines with one name counts."""
        with self.env_file.open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in variables.items())

    def url(self, port: str) -> str:
        """Return the base URL of the service behind the port of this name."""
        return f"http://127.0.0.1:{self.variables[port]}"

    def compose(self, *arguments: str, env_file: Path | None = None) -> str:
        """Run a command of Compose and return its output."""
        command = ("docker", "compose", "--project-name", self._project, "--env-file", str(env_file or self.env_file))
        return run(*command, *arguments)

    def make(self, target: str, **variables: str) -> str:
        """Run a command `make compose-…` on the project, with variables, and return its output."""
        known = self.variables | {"COMPOSE_PROJECT_NAME": self._project, "COLUMNS": "1000"} | variables
        ops = f"OPS={sys.executable} -m ops --env-file {self.env_file}"
        return run("env", *(f"{name}={value}" for name, value in known.items()), "make", target, ops)

    def up(self, *arguments: str, workers: int = 0) -> None:
        """Start all services, with Celery if there are workers, and wait until they are healthy."""
        celery = ("--scale", f"airflow-worker={workers}") if workers else ()
        self.set(AIRFLOW_EXECUTOR="CeleryExecutor" if workers else "")
        self.set(COMPOSE_PROFILES="monitoring,edge,celery" if workers else "monitoring,edge")
        self.compose("up", "--detach", "--wait", *celery, *arguments)

    def down(self, *arguments: str) -> None:
        """Remove every container."""
        self.compose("--profile", "*", "down", "--remove-orphans", *arguments)

    def containers(self, service: str = "") -> list[dict[str, Any]]:
        """Return every container, or those of one service, as `docker inspect` describes them."""
        ids = self.compose("--profile", "*", "ps", "--all", "--quiet", *filter(None, [service])).split()
        return list(json.loads(run("docker", "inspect", *ids))) if ids else []

    def execute(self, service: str, *command: str) -> str:
        """Run a command in a running container and return its output."""
        return self.compose("exec", "--no-TTY", service, *command)

    def in_memory(self, service: str) -> frozenset[str]:
        """Return the names in the paths of what the program of a service has in memory, such as those of packages."""
        return frozenset(self.execute(service, "python", "-c", IN_MEMORY).split())

    def log(self, service: str) -> list[str]:
        """Return the log lines of the service."""
        return self.compose("logs", "--no-log-prefix", "--no-color", service).splitlines()

    def unwell(self) -> list[str]:
        """Return the services with an unhealthy container or a failed one-shot."""
        return [name_of(container) for container in self.containers() if not _is_well(container["State"])]

    def deployment(self) -> Deployment:
        """Return the stack as a `Deployment`."""
        variables = self.variables
        self.compose("exec", "--detach", "jupyterlab", "python", "-c", RECEIVER)

        def upload(name: str, text: str) -> str:
            (self.data / name).write_text(text)
            return f"/data/{name}"

        return deployment(
            airflow=(self.url("AIRFLOW_PORT"), "admin", variables["AIRFLOW_PASSWORD"]),
            airflow_links=f"https://airflow.localhost:{variables['EDGE_PORT']}",
            mlflow=self.url("MLFLOW_PORT"),
            service=self.url("API_PORT"),
            s3=(self.url("S3_PORT"), variables["MINIO_ROOT_USER"], variables["MINIO_ROOT_PASSWORD"]),
            query=self._query,
            upload=upload,
            stop=lambda name: self.compose("stop", SERVICES.get(name, name)),
            start=lambda name: self._start(SERVICES.get(name, name)),
            identity=lambda: self.containers("api")[0]["State"]["StartedAt"],
            scheduler_log=lambda: "\n".join(self.log("airflow-scheduler")),
            notices=self._notices,
        )

    def _query(self, statement: str) -> list[tuple[Any, ...]]:
        rows = json.loads(self.execute("airflow-scheduler", "python", "-c", QUERY, statement))
        return [tuple(row) for row in rows]

    def _notices(self) -> list[dict[str, str]]:
        lines = self.execute("jupyterlab", "sh", "-c", "cat /tmp/notices || true").splitlines()
        return [json.loads(line) for line in lines]

    def _start(self, service: str) -> None:
        # not `compose up --no-deps`, which replaces a container that depends on others
        run("docker", "start", *(container["Id"] for container in self.containers(service)))
        until(lambda: service not in self.unwell(), f"{service} to be healthy")


def run(*command: str) -> str:
    """Run a command without the settings of our shell and return its output."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    kept |= {name: value for name, value in os.environ.items() if name.startswith(("DOCKER_", suite.MARK))}
    result = subprocess.run(command, cwd=env.REPO, env=kept, capture_output=True, text=True, timeout=TIMEOUT)
    if result.returncode != 0:
        error = subprocess.CalledProcessError(result.returncode, command, result.stdout, result.stderr)
        error.add_note(result.stderr[-2000:])
        raise error
    return result.stdout


def name_of(container: dict[str, Any]) -> str:
    """Return the service of a container."""
    return str(container["Config"]["Labels"]["com.docker.compose.service"])


def _is_well(state: dict[str, Any]) -> bool:
    if "Health" in state:
        return bool(state["Running"] and state["Health"]["Status"] == "healthy")
    return bool(state["Status"] == "exited" and state["ExitCode"] == 0)


@contextmanager
def running(folder: Path) -> Iterator[ComposeStack]:
    """Run the whole stack during the block, then remove its containers, volumes and images."""
    stack = ComposeStack(folder)
    suite.note_project(PROJECT)
    stack.down("--volumes")  # left by a killed run
    try:
        stack.up("--build")
        yield stack
    finally:
        stack.down("--volumes", "--rmi", "local")

"""`make compose-run`: run the DAG of a contract once in the containers, and predict with its model."""

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ops import dotenv
from ops.docker import Compose, DockerError
from ops.env import REPO
from ops.web import Web, WebError

FIRST = "penguins"
"""Name of the contract whose model is the first one that the service serves."""

MODELS = "models.txt"
"""Name of the file with the registered models that the service serves, one a line."""

_POLL = 1.0  # seconds
_PATIENCE = 300.0  # seconds for which a run is followed while Airflow is in trouble
_PARSE_TIMEOUT = 180.0  # seconds
_SWAP_TIMEOUT = 120.0  # seconds


class RunError(Exception):
    """The run can't be followed to its end; the message says why."""


def main(env_file: Path, contract: str) -> int:
    """Run the DAG and return the exit status: 1 after an error, which is printed."""
    try:
        variables = dotenv.parse(env_file.read_text())
        shown = show(Compose(env_file), contract or FIRST)
        serve(models_folder(variables), shown["model"])
        _train(sign_in(variables), shown["dag"])
        _predict(variables, shown)
    except (OSError, DockerError, RunError, WebError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def models_folder(variables: Mapping[str, str]) -> Path:
    """Return the folder that the service gets the list of its models from."""
    return REPO / (variables.get("PENGUINS_MODELS_DIR") or ".models")


def serve(folder: Path, model: str) -> None:
    """Add a registered model to those that the service serves. It reads the file again when that changes."""
    path = folder / MODELS
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # two commands at once would lose a model
        models = path.read_text().splitlines() if path.exists() else []
        if model not in models:
            new = path.with_suffix(".new")
            new.write_text("\n".join([*models, model]) + "\n")
            new.replace(path)
    finally:
        os.close(descriptor)


def show(compose: Compose, contract: str) -> dict[str, Any]:
    """Return the names that a contract gives, as the containers read it.

    Raises:
        DockerError: there is no such contract, or the containers aren't up.
    """
    command = ("python", "-m", "penguins.contracts", "show", contract)
    return dict(json.loads(compose.run("exec", "--no-TTY", "airflow-scheduler", *command)))


def sign_in(variables: Mapping[str, str]) -> Web:
    """Return Airflow's interface, with a token.

    Raises:
        WebError: it doesn't answer, or refuses the password.
    """
    airflow = Web(f"http://127.0.0.1:{variables.get('AIRFLOW_PORT') or 8080}", _PATIENCE)
    login = {"username": "admin", "password": variables.get("AIRFLOW_PASSWORD", "")}
    airflow.authorize(airflow.post("/auth/token", login)["access_token"])
    return airflow


def _train(airflow: Web, dag: str) -> None:
    """Let Airflow read the contracts again, trigger the DAG, and wait for the end of its run."""
    parsed = request_parsing(airflow, dag)
    _until(lambda: _is_parsed(airflow, dag, parsed), f"Airflow to find the DAG {dag}", _PARSE_TIMEOUT)
    trigger(airflow, dag, {})


def trigger(airflow: Web, dag: str, parameters: Mapping[str, str]) -> str:
    """Trigger a DAG, show its tasks until its run ends, and return the path of the run.

    Raises:
        RunError: the run failed, or asks a person.
        WebError: Airflow refuses it, or doesn't answer.
    """
    body = {"logical_date": None, "conf": dict(parameters)}
    run = airflow.post(f"/api/v2/dags/{dag}/dagRuns", body)["dag_run_id"]
    print(f"DAG run {run}", flush=True)
    path, states, state = f"/api/v2/dags/{dag}/dagRuns/{quote(run)}", dict[str, str](), "queued"
    while state not in ("success", "failed"):
        time.sleep(_POLL)
        state = airflow.get(path)["state"]
        for task in airflow.get(f"{path}/taskInstances?limit=100")["task_instances"]:
            if task["state"] and states.get(task["task_id"]) != task["state"]:
                states[task["task_id"]] = task["state"]
                print(f"{task['task_id']:<24} {task['state']}", flush=True)
        if "awaiting_input" in states.values():
            raise RunError("register_best asks a person: decide in Airflow under Required Actions")
    if state == "failed":
        raise RunError(f"the run failed: its log is at {airflow.url}/dags/{dag}/runs/{quote(run)}")
    return path


def request_parsing(airflow: Web, dag: str) -> str | None:
    """Let Airflow parse the file of a DAG soon, and return the time at which it was parsed last, if it was."""
    found = airflow.find(f"/api/v2/dags/{dag}")
    # The file of other DAGs makes that of a new contract, too.
    known = [found] if found else airflow.get("/api/v2/dags?limit=100")["dags"]
    for token in {each["file_token"] for each in known}:
        airflow.put(f"/api/v2/parseDagFile/{token}")
    parsed: str | None = found["last_parsed_time"] if found else None
    return parsed


def _is_parsed(airflow: Web, dag: str, before: str | None) -> bool:
    found = airflow.find(f"/api/v2/dags/{dag}")
    return found is not None and not found["is_stale"] and found["last_parsed_time"] != before


def _predict(variables: dict[str, str], shown: dict[str, Any]) -> None:
    own = "" if shown["name"] == FIRST else f"/models/{quote(shown['model'], safe='')}"
    service = Web(f"http://127.0.0.1:{variables.get('API_PORT') or 8000}")
    _until(lambda: (service.find(own or "/model") or {}).get("model"), "the service to serve it", _SWAP_TIMEOUT)
    body = json.dumps(shown["example"], ensure_ascii=False)
    quoted = body.replace("'", "'\\''")
    print(f"\ncurl {service.url}{own}/predict -H 'Content-Type: application/json' -d '{quoted}'")
    print(json.dumps(service.post(f"{own}/predict", shown["example"]), indent=2, ensure_ascii=False))


def _until(condition: Callable[[], object], what: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise RunError(f"waited {timeout:.0f} s for {what}")
        time.sleep(_POLL)

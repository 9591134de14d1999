"""Client of Airflow's REST API: trigger a DAG and follow its run."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from local.clients.http import JsonApi


@dataclass(frozen=True)
class Task:
    """One task of a run; `state` is None until the scheduler has handled the task.

    A mapped task has several instances of one name, numbered by `index`; other tasks have the index -1.
    """

    name: str
    index: int
    state: str | None
    attempt: int
    seconds: float | None


class Airflow:
    """One Airflow. Every method may raise StackError."""

    def __init__(self, base_url: str, user: str, password: str, patience: float = 0) -> None:
        """Log in. For `patience` seconds a failed GET is repeated, as by `JsonApi`."""
        self._api = JsonApi(base_url, patience=patience)
        token = self._api.post("/auth/token", {"username": user, "password": password})
        self._api.authorize(token["access_token"])

    def has_dag(self, dag: str, parsed_before: str | None = None) -> bool:
        """Return whether the DAG's file exists and was parsed, at another time than `parsed_before`."""
        found = self._api.find(f"/api/v2/dags/{dag}")
        return found is not None and not found["is_stale"] and found["last_parsed_time"] != parsed_before

    def request_parsing(self, dag: str) -> str | None:
        """Let Airflow parse the file of a DAG soon, and return the time at which it was parsed last, if it was."""
        found = self._api.find(f"/api/v2/dags/{dag}")
        # The file of other DAGs makes that of a new contract, too.
        known = [found] if found else self._api.get("/api/v2/dags", limit=100)["dags"]
        for token in {each["file_token"] for each in known}:
            self._api.put(f"/api/v2/parseDagFile/{token}", httpx.codes.CONFLICT)  # if that was requested already
        parsed: str | None = found["last_parsed_time"] if found else None
        return parsed

    def import_errors(self) -> dict[str, str]:
        """Return the stack trace of each file in the DAG folder that can't be imported."""
        errors = self._api.get("/api/v2/importErrors")["import_errors"]
        return {error["filename"]: error["stack_trace"] for error in errors}

    def trigger(self, dag: str, params: dict[str, Any] | None = None) -> str:
        """Start a run and return its id."""
        body = {"logical_date": None, "conf": params or {}}
        return str(self._api.post(f"/api/v2/dags/{dag}/dagRuns", body)["dag_run_id"])

    def run_state(self, dag: str, run: str) -> str:
        """Return the state of a run: queued, running, success or failed."""
        return str(self._api.get(_run(dag, run))["state"])

    def tasks(self, dag: str, run: str) -> list[Task]:
        """Return the run's tasks in the order of the DAG."""
        found = self._api.get(f"{_run(dag, run)}/taskInstances", limit=100)["task_instances"]
        found.sort(key=lambda task: (-task["priority_weight"], task["map_index"]))  # weight: tasks downstream
        return [
            Task(task["task_id"], task["map_index"], task["state"], task["try_number"], task["duration"])
            for task in found
        ]

    def result(self, dag: str, run: str, task: str) -> Any:
        """Return the value that a task has returned."""
        return self._api.get(f"{_run(dag, run)}/taskInstances/{task}/xcomEntries/return_value")["value"]

    def task_log(self, dag: str, run: str, task: Task) -> list[str]:
        """Return the log lines of the task's last attempt, with the traceback of its error."""
        path = f"{_run(dag, run)}/taskInstances/{task.name}/logs/{task.attempt}"
        log = self._api.get(path, map_index=task.index)
        return [line for record in log["content"] for line in _lines(record)]


def _run(dag: str, run: str) -> str:
    return f"/api/v2/dags/{dag}/dagRuns/{quote(run)}"


def _lines(record: dict[str, Any]) -> list[str]:
    lines = [f"{record.get('level') or '':<8} {record['event']}".strip()]
    for error in record.get("error_detail") or ():
        lines += [f"  {frame['filename']}:{frame['lineno']} in {frame['name']}" for frame in error["frames"]]
        lines.append(f"  {error['exc_type']}: {error['exc_value']}")
    return lines

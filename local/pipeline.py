"""One run of the training DAG through its HTTP interfaces: trigger it, follow it and print its result."""

import json
import time

from rich.console import Console

from local.clients.airflow import Airflow, Task
from local.clients.mlflow import Mlflow, Version
from local.clients.service import Service
from local.errors import StackError
from local.progress import Progress
from local.report import changes, leaderboard
from local.waiting import until

DAG = "penguins_training"
EXPERIMENT = "penguins_experiment"
MODEL = "penguins_rf"
PENGUIN: dict[str, float] = {"bill_length_mm": 20, "bill_depth_mm": 40, "flipper_length_mm": 200, "body_mass_g": 4000}

_POLL = 0.5  # seconds
_PARSE_TIMEOUT = 120.0  # seconds
_REPARSE_TIMEOUT = 10.0  # seconds; an import error may belong to an older version of the file
_SWAP_TIMEOUT = 60.0  # seconds
_LOG_LINES = 30


class Pipeline:
    """The DAG, its results in MLflow, and the prediction service. Every method may raise StackError."""

    def __init__(self, airflow: Airflow, mlflow: Mlflow, service: Service, console: Console) -> None:
        self._airflow = airflow
        self._mlflow = mlflow
        self._service = service
        self._console = console

    def run(self, service_url: str) -> None:
        """Train, wait for the service, predict, and print the result."""
        self._wait_for_dag()
        before = self._mlflow.production(MODEL)
        run = self._airflow.trigger(DAG)
        self._console.print(f"\nDAG run {run}")
        self._follow(run)
        candidates = self._mlflow.children(EXPERIMENT, run)
        version = self._mlflow.version_of(MODEL, run)
        after = self._mlflow.production(MODEL)
        if version is None or after is None:
            raise StackError(f"the run succeeded, but {MODEL} has no version of it, or none in Production")
        self._console.print(leaderboard(candidates, version.run_id))
        self._console.print(changes(version, before, after), soft_wrap=True)
        self._predict(after, service_url)

    def _wait_for_dag(self) -> None:
        started = time.monotonic()
        while (error := self._airflow.import_errors().get(f"{DAG}.py")) or not self._airflow.has_dag(DAG):
            waited = time.monotonic() - started
            if error and waited > _REPARSE_TIMEOUT:
                raise StackError(f"Airflow can't import {DAG}.py:\n{error}")
            if waited > _PARSE_TIMEOUT:
                raise StackError(f"Airflow hasn't found the DAG {DAG} after {_PARSE_TIMEOUT:.0f} s")
            time.sleep(_POLL)

    def _follow(self, run: str) -> None:
        with Progress(self._console) as progress:
            state = "queued"
            while state not in ("success", "failed"):
                time.sleep(_POLL)
                state = self._airflow.run_state(DAG, run)
                tasks = self._airflow.tasks(DAG, run)
                for name in dict.fromkeys(task.name for task in tasks):
                    same = [task for task in tasks if task.name == name]
                    progress(name, _summary(same), max(task.seconds or 0.0 for task in same))
        if state == "failed":
            raise self._failure(run, tasks)

    def _failure(self, run: str, tasks: list[Task]) -> StackError:
        failed = next((task for task in tasks if task.state == "failed"), None)
        if failed is None:
            return StackError(f"the DAG run {run} failed, but none of its tasks did: was it marked as failed?")
        log = self._airflow.task_log(DAG, run, failed)
        return StackError("\n".join([f"{failed.name} failed. The end of its log:", *log[-_LOG_LINES:]]))

    def _predict(self, production: Version, url: str) -> None:
        until(
            lambda: self._service.version() == production.number,
            f"the service to use version {production.number}; see {url}/model",
            _SWAP_TIMEOUT,
        )
        body = json.dumps(PENGUIN)
        self._console.print(f"\ncurl {url}/predict -H 'Content-Type: application/json' -d '{body}'", soft_wrap=True)
        self._console.print_json(data=self._service.predict(PENGUIN))


def _summary(tasks: list[Task]) -> str:
    """Return the state of a task, or a summary of the instances of a mapped task."""
    states = {task.state for task in tasks}
    if len(states) == 1:
        (state,) = states
        return "waiting" if state in (None, "scheduled", "queued") else state
    for state in ("failed", "upstream_failed", "up_for_retry"):
        if state in states:
            return state
    return f"{sum(task.state == 'success' for task in tasks)} of {len(tasks)}"

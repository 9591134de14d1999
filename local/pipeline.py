"""One run of a contract's DAGs through its HTTP interfaces: trigger it, follow it and print its result."""

import json
import time

from rich.console import Console

from local.clients.airflow import Airflow, Task
from local.clients.mlflow import Mlflow, Version
from local.clients.service import Service
from local.contracts import Contract
from local.errors import StackError
from local.progress import Progress
from local.report import changes, leaderboard
from local.waiting import until

_FILE = "penguins_training.py"  # makes the DAGs of all contracts
_POLL = 0.5  # seconds
_PARSE_TIMEOUT = 120.0  # seconds
_REPARSE_TIMEOUT = 10.0  # seconds; an import error may belong to an older version of the file
_SWAP_TIMEOUT = 60.0  # seconds
_LOG_LINES = 30


class Pipeline:
    """The DAG of a contract, its results in MLflow, and the prediction service. Every method may raise StackError."""

    def __init__(
        self, contract: Contract, airflow: Airflow, mlflow: Mlflow, service: Service, console: Console
    ) -> None:
        self._contract = contract
        self._airflow = airflow
        self._mlflow = mlflow
        self._service = service
        self._console = console

    def run(self) -> None:
        """Train, wait for the service, predict, and print the result."""
        dag, model = self._contract.dag, self._contract.model
        self._wait_for_dag()
        before = self._mlflow.production(model)
        run = self._airflow.trigger(dag)
        self._console.print(f"\nDAG run {run}")
        self._follow(dag, run)
        candidates = self._mlflow.children(self._contract.experiment, run)
        version = self._mlflow.version_of(model, run)
        after = self._mlflow.production(model)
        if version is None or after is None:
            raise StackError(f"the run succeeded, but {model} has no version of it, or none in Production")
        self._console.print(leaderboard(candidates, version.run_id))
        self._console.print(changes(version, before, after), soft_wrap=True)
        self._predict(after)

    def score(self, source: str, table: str) -> None:
        """Score a source with the model, into a table of this name, or the default one; print the result."""
        dag = self._contract.scoring_dag
        until(lambda: self._airflow.has_dag(dag), f"the DAG {dag}; `make run` of the contract lets Airflow read it")
        run = self._airflow.trigger(dag, {"source": source} | ({"table": table} if table else {}))
        self._console.print(f"DAG run {run}")
        self._follow(dag, run)
        result = self._airflow.result(dag, run, "score")
        parts = [f"{rows:,} by version {version}" for version, rows in result["rows"].items()]
        self._console.print(
            f"\n{result['source']}: {', '.join(parts)} in the table {result['table']} of the database penguins; "
            f"{result['rejected']:,} rows in {result['table']}_rejected.",
            soft_wrap=True,
            markup=False,
        )

    def _wait_for_dag(self) -> None:
        """Wait until Airflow has parsed the contract as it is now."""
        dag = self._contract.dag
        parsed = self._airflow.request_parsing(dag)
        started = time.monotonic()
        while (error := self._airflow.import_errors().get(_FILE)) or not self._airflow.has_dag(dag, parsed):
            waited = time.monotonic() - started
            if error and waited > _REPARSE_TIMEOUT:
                raise StackError(f"Airflow can't import {_FILE}:\n{error}")
            if waited > _PARSE_TIMEOUT:
                raise StackError(f"Airflow hasn't found the DAG {dag} after {_PARSE_TIMEOUT:.0f} s")
            time.sleep(_POLL)

    def _follow(self, dag: str, run: str) -> None:
        with Progress(self._console) as progress:
            state = "queued"
            while state not in ("success", "failed"):
                time.sleep(_POLL)
                tasks = self._airflow.tasks(dag, run)
                for name in dict.fromkeys(task.name for task in tasks):
                    same = [task for task in tasks if task.name == name]
                    progress(name, _summary(same), max(task.seconds or 0.0 for task in same))
                if waiting := next((task for task in tasks if task.state == "awaiting_input"), None):
                    raise StackError(
                        f"{waiting.name} asks a person: the version in Production has another contract. Decide in "
                        f"Airflow under Required Actions, on the DAG {dag}."
                    )
                # An answer takes processor time from the task that runs, and with it the run does.
                if not any(task.state == "running" for task in tasks):
                    state = self._airflow.run_state(dag, run)
        if state == "failed":
            raise self._failure(dag, run, self._airflow.tasks(dag, run))

    def _failure(self, dag: str, run: str, tasks: list[Task]) -> StackError:
        failed = next((task for task in tasks if task.state == "failed"), None)
        if failed is None:
            return StackError(f"the DAG run {run} failed, but none of its tasks did: was it marked as failed?")
        log = self._airflow.task_log(dag, run, failed)
        return StackError("\n".join([f"{failed.name} failed. The end of its log:", *log[-_LOG_LINES:]]))

    def _predict(self, production: Version) -> None:
        until(
            lambda: self._service.version() == production.number,
            f"the service to use version {production.number}; see {self._service.status_url}",
            _SWAP_TIMEOUT,
        )
        body = json.dumps(self._contract.example, ensure_ascii=False).replace("'", "'\\''")
        curl = f"curl {self._service.predict_url} -H 'Content-Type: application/json' -d '{body}'"
        self._console.print(f"\n{curl}", soft_wrap=True, markup=False)
        self._console.print_json(data=self._service.predict(self._contract.example))


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

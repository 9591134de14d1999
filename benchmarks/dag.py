"""Time of the whole DAG on its own stack, by step: from the trigger to the service's answer.

    python -m benchmarks.dag [--rows 1000000] [--conf '{"estimator": "logistic_regression"}']

Without `--rows` the DAG reads the real penguins. Times come from Airflow: a task waits from the end of the task before
to its own start, and runs from its start to its end. The seconds inside a task are those up to a line of its log, since
the line before: what it starts, imports, reads, fits, records, draws and exports.

Two comparisons on the same stack: a run of four empty tasks (`benchmarks/dags/empty.py`), to measure the overhead of
Airflow, and the fits of the same candidates and folds alone in one process. The last line gives the ratio of the total
to the sum of both.
"""

import argparse
import json
import os
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks import synthetic
from benchmarks.ingest import seconds
from local.clients.airflow import Airflow
from local.clients.http import JsonApi
from local.clients.service import Service
from local.settings import REPO, Settings
from local.stack import Stack
from local.waiting import until
from penguins.data.dataset import read_processed, split
from penguins.training.estimators import FOREST
from penguins.training.grid import candidates
from penguins.training.search import search

DAG = "penguins_training"
EMPTY = "empty"
TASKS = ("load_raw", "preprocess", "grid_train", "register_best")
SHORT = 0.05  # seconds
SKIPPED = re.compile(r"::| *(?!1/)\d+/\d+ ")  # groups of lines, and all candidates but the first

console = Console(highlight=False)


def moment(text: str) -> datetime:
    """Parse a time in Airflow's format."""
    return datetime.fromisoformat(text)


def stack_with_empty_dag(state: Path) -> Stack:
    """Return a stack with the DAGs of `benchmarks/dags` in addition to ours."""
    stack = Stack(Settings.on_free_ports(state))
    local_bundle = "airflow.dag_processing.bundles.local.LocalDagBundle"
    folders: dict[str, dict[str, str]] = {"dags-folder": {}, "benchmarks": {"path": str(REPO / "benchmarks" / "dags")}}
    bundles = [{"name": name, "classpath": local_bundle, "kwargs": kwargs} for name, kwargs in folders.items()]
    stack.config.layout.airflow.mkdir(parents=True, exist_ok=True)
    configuration = f"[dag_processor]\ndag_bundle_config_list = {json.dumps(bundles)}\n"
    (stack.config.layout.airflow / "airflow.cfg").write_text(configuration)
    return stack


def trigger(airflow: Airflow, api: JsonApi, dag: str, conf: dict[str, Any]) -> str:
    """Run a DAG to its end and return the run's id."""
    until(lambda: airflow.has_dag(dag), f"{dag} to be parsed")
    name = str(api.post(f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"])
    until(lambda: airflow.run_state(dag, name) in ("success", "failed"), f"{dag} to end")
    return name


def fits(database: str, conf: dict[str, Any]) -> None:
    """Fit and score the candidates of a run of our DAG, without logging."""
    with psycopg.connect(database) as connection:
        data = split(read_processed(connection), conf.get("holdout_share", 0.2), conf.get("seed", 42))
    grid = candidates(conf.get("grid"), conf.get("estimator", FOREST))
    list(search(data, grid, data.folds(conf.get("cv_folds", 5))))


def steps_of(api: JsonApi, run: str, task: dict[str, Any]) -> list[tuple[str, float]]:
    """Return the seconds up to each line of a task's log; short ones count for a line after them."""
    path = f"/api/v2/dags/{DAG}/dagRuns/{quote(run)}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
    lines = [line for line in api.get(path, map_index=task["map_index"])["content"] if "timestamp" in line]
    moments = [(line["event"], moment(line["timestamp"])) for line in lines] + [("its end", moment(task["end_date"]))]
    steps, last = [], moment(task["start_date"])
    for event, at in moments:
        if (at - last).total_seconds() >= SHORT and not SKIPPED.match(event):
            steps.append((f"    {event.splitlines()[0][:60]}", (at - last).total_seconds()))
            last = at
    return steps


def run(stack: Stack, conf: dict[str, Any], airflow: Airflow, api: JsonApi) -> tuple[list[tuple[str, float]], str]:
    """Run our DAG, wait for the service, and return the seconds of every step and the log of grid_train."""
    service = Service(stack.urls["api"])
    before = service.version()
    triggered = datetime.now(UTC)
    name = trigger(airflow, api, DAG, conf)
    found = {task.name: task for task in airflow.tasks(DAG, name)}
    failed = [task for task in found.values() if task.state == "failed"]
    if failed:
        raise RuntimeError("\n".join(airflow.task_log(DAG, name, failed[0])[-20:]))
    until(lambda: service.version() != before, "the service to answer with the new version")
    answered = datetime.now(UTC)
    instances = api.get(f"/api/v2/dags/{DAG}/dagRuns/{name}/taskInstances", limit=100)["task_instances"]
    by_name = {instance["task_id"]: instance for instance in instances}
    steps, last = [], triggered
    for task in TASKS:
        start, end = moment(by_name[task]["start_date"]), moment(by_name[task]["end_date"])
        steps += [(f"  until {task} starts", (start - last).total_seconds()), (task, (end - start).total_seconds())]
        steps += steps_of(api, name, by_name[task])
        last = end
    steps.append(("  until the service answers with it", (answered - last).total_seconds()))
    return steps, "\n".join(airflow.task_log(DAG, name, found["grid_train"]))


def main() -> None:
    """Start the stack, run the DAG, and print the time of each step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, help="synthetic rows instead of the real penguins")
    parser.add_argument("--conf", type=json.loads, default={}, help="parameters of the run, as JSON")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder, stack_with_empty_dag(Path(folder, "state")).running() as stack:
        login = stack.urls["airflow-api-server"], "admin", stack.config.credentials.airflow_password
        airflow, api = Airflow(*login), JsonApi(login[0])
        api.authorize(api.post("/auth/token", {"username": login[1], "password": login[2]})["access_token"])
        conf = dict(options.conf)
        if options.rows:
            conf["source"] = str(Path(folder, "penguins.csv"))
            synthetic.write(Path(conf["source"]), options.rows)
        console.print(f"load of the machine before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
        trigger(airflow, api, EMPTY, {})  # a first run, so that parsing isn't measured
        idle = seconds(lambda: trigger(airflow, api, EMPTY, {}))
        steps, log = run(stack, conf, airflow, api)
        fitting = seconds(lambda: fits(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], conf))
    console.print(log)
    table = Table("", "seconds", box=None)
    for name, taken in steps:
        table.add_row(name, f"{taken:.1f}")
    console.print(table)
    total = sum(taken for name, taken in steps if not name.startswith("    "))
    tasks = sum(taken for name, taken in steps if name in TASKS)
    console.print(f"a run of four empty tasks: {idle:.1f} s; the fits alone: {fitting:.1f} s")
    print(
        f"trigger_to_answer={total:.1f} tasks={tasks:.1f} between={total - tasks:.1f}"
        f" over_airflow_and_fits={total / (idle + fitting):.2f}"
    )


if __name__ == "__main__":
    main()

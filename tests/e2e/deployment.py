"""A running stack for the end-to-end checks, embedded or in containers."""

import ast
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psycopg

from local.clients.airflow import Airflow
from local.clients.http import JsonApi
from local.clients.mlflow import Mlflow, Version
from local.clients.service import Service
from local.environment import BUCKET
from local.stack import Stack
from local.waiting import until
from tests.receiver import Receiver

DAG = "penguins_training"
EXPERIMENT = "penguins_experiment"
MODEL = "penguins_rf"
PENGUIN = {"bill_length_mm": 20, "bill_depth_mm": 40, "flipper_length_mm": 200, "body_mass_g": 4000}
QUICK = {"grid": {"n_estimators": list(range(31, 51)), "max_depth": [4]}, "cv_folds": 2}
"""Parameters of a run that is about what follows the training: as few candidates as a grid may have share one fit."""


@dataclass(frozen=True)
class Made:
    """Results of the first run of the DAG, recorded at its end, because tests change the version in Production.

    Attributes:
        run: id of the DAG run.
        version: the version in Production.
        answer: answer of the service for `PENGUIN`.
        output: output of the command that started the run, if any.
    """

    run: str
    version: Version
    answer: dict[str, Any]
    output: str = ""

    @classmethod
    def read(cls, output: str, mlflow: Mlflow) -> Self:
        """Read the results from the output of `make run` and from the registry."""
        run = output.partition("DAG run ")[2].split()[0]
        answer = json.loads(output[output.index("\n{") : output.index("\n}") + 2])
        return cls(run, in_production(mlflow), answer, output)


def in_production(mlflow: Mlflow) -> Version:
    """Return the version in Production; fail if there is none."""
    version = mlflow.production(MODEL)
    assert version is not None
    return version


@dataclass(frozen=True)
class Deployment:
    """Clients of the services, and actions on the stack.

    Attributes:
        query: runs SQL in the database `penguins` and returns the rows.
        upload: writes a text to a file for the tasks and returns its data source.
        stop, start: stop and start one service by its name in the embedded stack.
        identity: a value that changes with a restart of the prediction service.
        airflow_links: address of Airflow in what people are told.
        scheduler_log: log of Airflow's scheduler.
        notices: what people were told.
    """

    airflow: Airflow
    airflow_api: JsonApi
    mlflow: Mlflow
    mlflow_api: JsonApi
    service: Service
    service_api: JsonApi
    objects: Callable[[str], set[str]]
    query: Callable[[str], list[tuple[Any, ...]]]
    upload: Callable[[str, str], str]
    stop: Callable[[str], None]
    start: Callable[[str], None]
    identity: Callable[[], object]
    airflow_links: str
    scheduler_log: Callable[[], str]
    notices: Callable[[], list[dict[str, str]]]

    def run(self, **params: Any) -> tuple[str, dict[str, str]]:
        """Trigger the DAG, wait for its end, and return the run's id and the state of every task."""
        run = self.trigger(**params)
        return run, self.end_of(run)

    def end_of(self, run: str) -> dict[str, str]:
        """Wait for the end of a run, and return the state of every task."""
        # every half second only, because answers take processor time from the task
        until(lambda: self.airflow.run_state(DAG, run) in ("success", "failed"), f"{run} to end", poll=0.5)
        return self.task_states(run)

    def make(self) -> Made:
        """Run the DAG with its defaults on a new deployment."""
        run, states = self.run()
        assert set(states.values()) == {"success"}, states
        version = self.served()
        return Made(run, version, self.service.predict(PENGUIN))

    def served(self) -> Version:
        """Return the version in Production once the service serves it: a promotion reaches it some seconds later."""
        version = in_production(self.mlflow)
        until(lambda: self.service.version() == version.number, "the service to follow")
        return version

    def params_of(self, version: Version) -> dict[str, Any]:
        """Return the hyperparameters of a version."""
        run = self.mlflow_api.get("/api/2.0/mlflow/runs/get", run_id=version.run_id)["run"]
        return {param["key"]: ast.literal_eval(param["value"]) for param in run["data"]["params"]}

    def trigger(self, **params: Any) -> str:
        """Start a run of the DAG with these parameters and return its id."""
        body = {"logical_date": None, "conf": params}
        return str(self.airflow_api.post(f"/api/v2/dags/{DAG}/dagRuns", body)["dag_run_id"])

    def task_states(self, run: str) -> dict[str, str]:
        """Return the state of each task, in the order of the DAG."""
        return {task.name: str(task.state) for task in self.airflow.tasks(DAG, run)}

    def log(self, run: str, name: str) -> str:
        """Return the log of the last try of a task."""
        task = next(task for task in self.airflow.tasks(DAG, run) if task.name == name)
        return "\n".join(self.airflow.task_log(DAG, run, task))


def embedded(stack: Stack, folder: Path, receiver: Receiver) -> Deployment:
    """Return the deployment of the whole embedded stack; files for its tasks go into `folder`."""
    credentials, urls = stack.config.credentials, stack.urls

    def query(statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"]) as connection:
            return connection.execute(statement).fetchall()  # type: ignore[arg-type]

    def upload(name: str, text: str) -> str:
        (folder / name).write_text(text)
        return str(folder / name)

    return deployment(
        airflow=(urls["airflow-api-server"], "admin", credentials.airflow_password),
        mlflow=urls["mlflow"],
        service=urls["api"],
        s3=(urls["s3"], credentials.s3_access_key, credentials.s3_secret_key),
        query=query,
        upload=upload,
        stop=stack.stop,
        start=stack.start,
        identity=lambda: stack.states()["api"].pid,
        airflow_links=urls["airflow-api-server"],
        scheduler_log=stack.config.layout.log("airflow-scheduler").read_text,
        notices=lambda: receiver.notices,
    )


def deployment(
    airflow: tuple[str, str, str], mlflow: str, service: str, s3: tuple[str, str, str], **actions: Any
) -> Deployment:
    """Return a deployment from its addresses and logins: (address, user, password) of Airflow and of S3."""
    address, user, password = airflow
    airflow_api = JsonApi(address)
    airflow_api.authorize(airflow_api.post("/auth/token", {"username": user, "password": password})["access_token"])
    return Deployment(
        airflow=Airflow(address, user, password),
        airflow_api=airflow_api,
        mlflow=Mlflow(mlflow),
        mlflow_api=JsonApi(mlflow),
        service=Service(service),
        service_api=JsonApi(service),
        objects=lambda prefix: _objects(s3, prefix),
        **actions,
    )


def _objects(s3: tuple[str, str, str], prefix: str) -> set[str]:
    import boto3  # not above: each run of the suite would wait for it, also in the tests about runs

    address, access_key, secret_key = s3
    client = boto3.client(
        "s3",
        endpoint_url=address,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
    )
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return {item["Key"].removeprefix(prefix) for page in pages for item in page.get("Contents", [])}

"""
### {title}: from raw measurements to the model in Production

`load_raw → preprocess → grid_train → register_best`

| task | action | result |
|---|---|---|
| **load_raw** | streams the data source into Postgres; the old rows stay until all new ones are in | table `{raw}` |
| **preprocess** | drops incomplete rows, sets impossible ones aside, encodes the {target} | tables `{processed}`, `{rejected}` |
| **grid_train** | cross-validates every candidate of the grid and logs each as an MLflow run | experiment `{experiment}` |
| **register_best** | registers the best candidate, and promotes it if it beats Production on the same hold-out | model `{model}` |

**Trigger** it with the ▶ button; every parameter has a default and an explanation. A run with an unknown parameter
fails at once. It also runs on the schedule above{schedule} and,
where the contract wants it, for an alarm of `{monitoring}`: `register_best` then names the alarm in its reason. The prediction service loads a new
Production model within seconds.

Any task can be cleared and run again without making a second run, row or version. Every run has tables of its own, so
runs may overlap; the tables above have the rows of the run that started last.
A candidate that isn't better doesn't fail the task: it gets the alias `challenger`,
and the reason in its tags. With `promotion` at `manual`, **register_best** waits until a person has
decided: under *Required Actions*, with the numbers of champion and challenger side by side.
"""

import math
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from airflow.sdk import dag, get_current_context, task

from contract.schema import DataContract
from penguins.airflow import notices
from penguins.airflow.assets import training_schedule
from penguins.airflow.form import build_form
from penguins.airflow.links import training_task
from penguins.airflow.operators import FORM, RegisterBest
from penguins.airflow.parsing import build_dags, describe, title_of
from penguins.airflow.task_errors import RETRIES, report_user_errors
from penguins.parameters import check_names


def training_dag(contract: DataContract) -> Any:
    """Return the DAG of a contract."""
    rules, form = contract.training, build_form(contract.training)

    @dag(
        dag_id=contract.dag_id,
        dag_display_name=f"{title_of(contract)}: train and promote",
        schedule=training_schedule(contract),
        catchup=False,
        max_active_runs=1,
        params=form,
        default_args={"owner": "penguins", "execution_timeout": timedelta(hours=12), **RETRIES},
        on_failure_callback=notices.failure_of(contract),
        doc_md=describe(__doc__ or "", contract),
        tags=[contract.name, "training"],
        auto_register=False,
    )
    def wire() -> None:
        """Wire the four tasks."""

        @task()
        @report_user_errors
        def load_raw(params: dict[str, Any]) -> dict[str, Any]:
            """Check the names of the run's parameters, and stream the data source into the raw table."""
            from penguins.airflow import database, following, runs
            from penguins.data import ingest
            from penguins.data.runs import drop_old
            from penguins.monitoring.production_rows import read_production_rows

            check_names(params, form)  # Airflow accepts unknown ones
            with database.connect() as connection:
                share, run = rules.max_rejected_share, runs.current_run()
                followed = following.begin(connection, contract, runs.alarms_of_run(), run.id)
                notices.tell_training(contract, followed, get_current_context())
                more = read_production_rows(connection, contract)
                report = ingest.load_raw(connection, params["source"], share, run, contract, more)
                drop_old(connection, runs.is_active, contract)
            return asdict(report)

        @task()
        @report_user_errors
        def preprocess(params: dict[str, Any]) -> list[int]:
            """Clean and encode the raw table into the processed one, and return the shards of the grid."""
            from penguins.airflow import database, runs
            from penguins.data import preprocessing

            with database.connect() as connection:
                report = preprocessing.preprocess(connection, rules.max_rejected_share, contract, runs.current_run())
            get_current_context()["ti"].xcom_push("report", asdict(report))
            return list(range(params["shards"]))  # Airflow can map a task over a return value only

        @training_task()
        @report_user_errors
        def grid_train(shard: int, params: dict[str, Any]) -> dict[str, Any]:
            """Fit, score and log every candidate of one shard of the grid."""
            from penguins import locks
            from penguins.airflow import database, runs
            from penguins.training import training

            run = runs.current_run()
            data, folds = database.read_dataset(contract, params, run), params["cv_folds"]
            grid, estimator = params["grid"], params["estimator"]
            seconds = math.inf if params["time_budget"] is None else 60 * params["time_budget"]
            with database.connect() as connection, locks.exclusive_lock(connection, f"{contract.name} {run.id}"):
                parent = training.open_run(data, grid, folds, run.id, estimator, database.connect)
            report = training.grid_train(
                data, grid, folds, parent, shard, params["shards"], estimator, seconds, database.connect
            )
            return asdict(report)

        shards = preprocess()
        load_raw() >> shards
        best = RegisterBest(task_id="register_best", contract=contract, params=FORM)
        grid_train.expand(shard=shards) >> best

    return wire()


# Airflow takes the DAGs of a file from its global names.
globals().update(build_dags(training_dag))

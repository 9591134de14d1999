"""
### Penguins: from raw measurements to the model in Production

`load_raw → preprocess → grid_train → register_best`

| task | action | result |
|---|---|---|
| **load_raw** | streams the data source into Postgres; the old rows stay until all new ones are in | table `penguins_raw` |
| **preprocess** | drops incomplete rows, sets impossible ones aside, encodes the species | tables `penguins_processed`, `penguins_rejected` |
| **grid_train** | cross-validates every candidate of the grid and logs each as an MLflow run | experiment `penguins_experiment` |
| **register_best** | registers the best candidate, and promotes it if it beats Production on the same hold-out | model `penguins_rf` |

**Trigger** it with the ▶ button; every parameter has a default and an explanation. A run with an unknown parameter
fails at once. It also runs on the schedule above (`PENGUINS_SCHEDULE`). The prediction service loads a new
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

from airflow.sdk import Param, dag, get_current_context, task

from penguins import contracts
from penguins.airflow.links import training_task
from penguins.airflow.operators import FORM, RegisterBest
from penguins.airflow.task_errors import RETRIES, report_user_errors
from penguins.parameters import check_names

CONTRACT = contracts.find(contracts.DEFAULT)
TRAINING = CONTRACT.training

PARAMS = {
    "source": Param(
        TRAINING.source,
        type="string",
        minLength=1,
        title="Data source",
        description="palmerpenguins, or the path of a CSV (also .gz) or Parquet file, or an s3:// address of one.",
    ),
    "estimator": Param(
        "random_forest",
        enum=["random_forest", "gradient_boosting", "logistic_regression"],
        title="Estimator",
        description="The kind of model. Each has its own grid.",
    ),
    "grid": Param(
        None,
        type=["null", "object"],
        title="Grid",
        description='Values to try for each hyperparameter of the estimator, such as {"n_estimators": [50, 100], …}; '
        "every combination is a candidate, and at least 20 are needed. Empty for the estimator's own 24.",
        additionalProperties={"type": "array", "minItems": 1, "uniqueItems": True},
    ),
    "cv_folds": Param(
        5, type="integer", minimum=2, maximum=50, title="Folds", description="Folds of the cross-validation."
    ),
    "holdout_share": Param(
        0.2,
        type="number",
        exclusiveMinimum=0,
        exclusiveMaximum=1,
        title="Hold-out",
        description="Share of the rows that no candidate learns from, to judge versions on.",
    ),
    "shards": Param(
        1,
        type="integer",
        minimum=1,
        maximum=64,
        title="Shards",
        description="Parts that the grid is cut into; workers train them at the same time. The result is the same.",
    ),
    "time_budget": Param(
        None,
        type=["null", "number"],
        exclusiveMinimum=0,
        title="Time budget",
        description="Minutes after which grid_train starts no fit and goes on with what is done; empty for no limit.",
    ),
    "seed": Param(
        42,
        type="integer",
        minimum=0,
        title="Seed",
        description="Decides the hold-out, the folds and the forests.",
    ),
    "promotion": Param(
        "auto",
        enum=["auto", "manual"],
        title="Promotion",
        description="auto: the gate decides. manual: it is asked here, under Required Actions, and a person decides.",
    ),
    "approval_hours": Param(
        72,
        type="number",
        exclusiveMinimum=0,
        maximum=8760,
        title="Hours to answer",
        description="With manual promotion: after these hours without an answer the champion stays.",
    ),
}


@dag(
    dag_display_name="Penguins: train and promote",
    schedule=TRAINING.schedule or None,
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    default_args={"owner": "penguins", "execution_timeout": timedelta(hours=12), **RETRIES},
    doc_md=__doc__,
    tags=["penguins", "training"],
)
def penguins_training() -> None:
    """Wire the four tasks."""

    @task()
    @report_user_errors
    def load_raw(params: dict[str, Any]) -> dict[str, Any]:
        """Check the names of the run's parameters, and stream the data source into penguins_raw."""
        from penguins.airflow import database, runs
        from penguins.data import ingest
        from penguins.data.runs import drop_old

        check_names(params, PARAMS)  # Airflow accepts unknown ones
        with database.connect() as connection:
            report = ingest.load_raw(connection, params["source"], TRAINING.max_rejected_share, runs.current_run())
            drop_old(connection, runs.is_active)
        return asdict(report)

    @task()
    @report_user_errors
    def preprocess(params: dict[str, Any]) -> list[int]:
        """Clean and encode penguins_raw into penguins_processed, and return the shards of the grid."""
        from penguins.airflow import database, runs
        from penguins.data import preprocessing

        with database.connect() as connection:
            report = preprocessing.preprocess(connection, TRAINING.max_rejected_share, CONTRACT, runs.current_run())
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
        data, folds = database.read_dataset(CONTRACT, params, run), params["cv_folds"]
        grid, estimator = params["grid"], params["estimator"]
        seconds = math.inf if params["time_budget"] is None else 60 * params["time_budget"]
        with database.connect() as connection, locks.exclusive_lock(connection, run.id):
            parent = training.open_run(data, grid, folds, run.id, estimator, database.connect)
        report = training.grid_train(
            data, grid, folds, parent, shard, params["shards"], estimator, seconds, database.connect
        )
        return asdict(report)

    shards = preprocess()
    load_raw() >> shards
    grid_train.expand(shard=shards) >> RegisterBest(task_id="register_best", contract=CONTRACT, params=FORM)


penguins_training()

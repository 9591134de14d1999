"""
### Penguins: from raw measurements to the model in Production

`load_raw → preprocess → grid_train → register_best`

| task | what it does | what it leaves behind |
|---|---|---|
| **load_raw** | streams the data source into Postgres; the old rows stay until all new ones are in | table `penguins_raw` |
| **preprocess** | drops incomplete rows, sets impossible ones aside, encodes the species | tables `penguins_processed`, `penguins_rejected` |
| **grid_train** | cross-validates every candidate of the grid and logs each as an MLflow run | experiment `penguins_experiment` |
| **register_best** | registers the best candidate, and promotes it if it beats Production on the same hold-out | model `penguins_rf` |

**Trigger** it with the ▶ button; every parameter has a default and an explanation. It also runs
by itself on the schedule above (`PENGUINS_SCHEDULE`). The prediction service notices a new
Production model by itself, within seconds.

Any task can be cleared and run again: there will be no second run, row or version.
A candidate that isn't better is a result, not a failure: it stays as the alias `challenger`,
with the reason in its tags.
"""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task

from penguins.settings import settings
from penguins.task_errors import RETRIES, plainly

HYPERPARAMETERS = {
    "n_estimators": [50, 100, 200],
    "max_depth": [None, 4, 8, 12],
    "min_samples_split": [2, 5],
}

PARAMS = {
    "source": Param(
        settings().data_source,
        type="string",
        minLength=1,
        title="Data source",
        description="palmerpenguins, or the path of a CSV (also .gz) or Parquet file, or an s3:// address of one.",
    ),
    "grid": Param(
        HYPERPARAMETERS,
        type="object",
        title="Grid",
        description="Values to try for each hyperparameter of RandomForestClassifier; every combination is a "
        "candidate, and at least 20 are needed.",
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
    "seed": Param(
        42,
        type="integer",
        minimum=0,
        title="Seed",
        description="Decides the hold-out, the folds and the forests.",
    ),
}


@dag(
    dag_display_name="Penguins: train and promote",
    schedule=settings().schedule or None,
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
    @plainly
    def load_raw(params: dict[str, Any]) -> dict[str, Any]:
        """Stream the data source into penguins_raw."""
        from penguins import database, ingest

        with database.connect() as connection:
            return asdict(ingest.load_raw(connection, params["source"], settings().max_rejected_share))

    @task()
    @plainly
    def preprocess(params: dict[str, Any]) -> list[int]:
        """Clean and encode penguins_raw into penguins_processed; returns the shards of the grid to train on it."""
        from penguins import database, preprocessing

        with database.connect() as connection:
            report = preprocessing.preprocess(connection, settings().max_rejected_share)
        get_current_context()["ti"].xcom_push("report", asdict(report))
        return list(range(params["shards"]))  # Airflow can map a task over a return value only

    @task()
    @plainly
    def grid_train(shard: int, params: dict[str, Any]) -> dict[str, Any]:
        """Fit, judge and log every candidate of the grid, or of one shard of it."""
        from penguins import database, training

        data, grid, folds = read(params), params["grid"], params["cv_folds"]
        with database.connect() as connection, database.alone(connection, dag_run_id()):
            parent = training.open_run(data, grid, folds, dag_run_id())
        return asdict(training.grid_train(data, grid, folds, parent, shard, params["shards"]))

    @task()
    @plainly
    def register_best(params: dict[str, Any]) -> dict[str, Any]:
        """Register the best candidate, and promote it if it deserves it."""
        from penguins import database, registration

        data = read(params)
        with database.connect() as connection, database.alone(connection, "register_best"):
            return asdict(registration.register_best(data, dag_run_id()))

    shards = preprocess()
    load_raw() >> shards
    grid_train.expand(shard=shards) >> register_best()


def read(params: dict[str, Any]) -> Any:
    """The processed rows, split as the parameters of the run say."""
    from penguins import database, dataset

    with database.connect() as connection:
        rows = dataset.read_processed(connection)
    return dataset.split(rows, params["holdout_share"], params["seed"])


def dag_run_id() -> str:
    """The id of the DAG run this task is of."""
    return get_current_context()["dag_run"].run_id


penguins_training()

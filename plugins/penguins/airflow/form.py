"""The parameters of a DAG run, with the defaults of a contract."""

from typing import Any, Final

from airflow.sdk import Param

from contract.schema import DataContract
from contract.training import Training

ESTIMATORS: Final = ("random_forest", "gradient_boosting", "logistic_regression", "hist_gradient_boosting")


def build_form(training: Training) -> dict[str, Param]:
    """Return the parameters of a run, by name."""
    # Without a default Airflow demands a value of each run.
    source: dict[str, Any] = {"default": training.source} if training.source else {}
    grid = None if training.grid is None else {name: list(values) for name, values in training.grid.items()}
    return {
        "source": Param(
            **source,
            type="string",
            minLength=1,
            title="Data source",
            description="palmerpenguins, the path of a CSV, TSV, JSON Lines or Parquet file, an s3:// address, or "
            "table:name for a table of the pipeline's database.",
        ),
        "estimator": Param(
            training.estimator,
            enum=["auto", *ESTIMATORS],
            title="Estimator",
            description="The kind of model. Each has its own grid. auto: random_forest, from 10,000 rows on "
            "hist_gradient_boosting.",
        ),
        "grid": Param(
            grid,
            type=["null", "object"],
            title="Grid",
            description='Values to try for each hyperparameter of the estimator, such as {"n_estimators": [50, 100], …}'
            "; every combination is a candidate, and at least 20 are needed. Empty for the estimator's own 24.",
            additionalProperties={"type": "array", "minItems": 1, "uniqueItems": True},
        ),
        "cv_folds": _number(
            training.folds, "integer", "Folds", "Folds of the cross-validation.", minimum=2, maximum=50
        ),
        "holdout_share": _number(
            training.holdout_share,
            "number",
            "Hold-out",
            "Share of the rows that no candidate learns from, to judge versions on.",
            exclusiveMinimum=0,
            exclusiveMaximum=1,
        ),
        "shards": _number(
            1,
            "integer",
            "Shards",
            "Parts that the grid is cut into; workers train them at the same time. The result is the same.",
            minimum=1,
            maximum=64,
        ),
        "time_budget": _number(
            None,
            ["null", "number"],
            "Time budget",
            "Minutes after which grid_train starts no fit and goes on with what is done; empty for no limit.",
            exclusiveMinimum=0,
        ),
        "seed": _number(42, "integer", "Seed", "Decides the hold-out, the folds and the forests.", minimum=0),
        "promotion": Param(
            "auto",
            enum=["auto", "manual"],
            title="Promotion",
            description="auto: the gate decides. manual: it is asked here, under Required Actions, and a person "
            "decides.",
        ),
        "approval_hours": _number(
            72,
            "number",
            "Hours to answer",
            "With manual promotion: after these hours without an answer the champion stays.",
            exclusiveMinimum=0,
            maximum=8760,
        ),
    }


def build_scoring_form(contract: DataContract) -> dict[str, Param]:
    """Return the parameters of a run that scores, by name."""
    return {
        "source": Param(
            type="string",
            minLength=1,
            title="Data source",
            description="Rows to score: the path of a CSV, TSV, JSON Lines or Parquet file, an s3:// address, or "
            "table:name for a table of the pipeline's database.",
        ),
        "table": Param(
            contract.table("scored"),
            type="string",
            minLength=1,
            title="Table",
            description="Table of the pipeline's database that gets the rows with their predictions; it is replaced.",
        ),
    }


def _number(default: float | None, kind: str | list[str], title: str, description: str, **limits: float) -> Param:
    schema: dict[str, Any] = {"type": kind, "title": title, "description": description, **limits}
    return Param(default, **schema)

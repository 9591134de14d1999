"""How the model of a contract is trained, judged and logged."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from contract.part import Part, Scalar

Estimator = Literal["auto", "random_forest", "gradient_boosting", "logistic_regression", "hist_gradient_boosting"]

_LIST: Final = Field(strict=False)  # of a tuple, which a file can only give as a list


class Training(Part):
    """The model that is trained on the table, and the rules for its promotion."""

    registered_model: str = Field(
        pattern=r"^[A-Za-z0-9_]([A-Za-z0-9_. -]{0,253}[A-Za-z0-9_.-])?$",
        description="Registered model in MLflow, of no other contract (`PENGUINS_MODEL_NAME`).",
    )
    experiment: str = Field(
        pattern=r"^[A-Za-z0-9_/][A-Za-z0-9_./ -]{0,199}$",
        description="Experiment in MLflow, of no other contract (`PENGUINS_EXPERIMENT`).",
    )
    schedule: str = Field(
        default="",
        max_length=300,  # Airflow keeps 1,000 of its description
        description="Cron expression or preset of Airflow; empty for only by hand (`PENGUINS_SCHEDULE`).",
    )
    source: str = Field(
        default="",
        description="Default source of a run: `palmerpenguins`, a path, an `s3://` address, or `table:name`; empty for "
        "none (`PENGUINS_DATA_SOURCE`).",
    )
    metric: Literal["accuracy", "f1_macro", "log_loss"] = Field(
        default="accuracy",
        description="Metric that the best candidate is chosen by: `accuracy`, `f1_macro` or `log_loss`.",
    )
    estimator: Estimator = Field(
        default="auto",
        description="Kind of the model; `auto` chooses by the number of rows.",
    )
    grid: Mapping[str, Annotated[tuple[Scalar | None, ...], Field(min_length=1)]] | None = Field(
        default=None, description="Values to try for each hyperparameter; without it the estimator's own."
    )
    folds: int = Field(default=5, ge=2, le=50, description="Folds of the cross-validation, 2 to 50.")
    holdout_share: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the rows that versions are judged on, above 0 and below 1."
    )
    max_rejected_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Share of the rows that may be rejected (0 to 1) (`PENGUINS_MAX_REJECTED_SHARE`).",
    )
    min_accuracy: float = Field(
        ge=0,
        le=1,
        description="Accuracy on the hold-out that a version needs to be promoted at all (0 to 1) "
        "(`PENGUINS_MIN_ACCURACY`).",
    )
    max_p_value: float = Field(
        default=0.5,
        gt=0,
        le=0.5,
        description="Largest p-value, of the exact McNemar test against Production, that promotes (above 0, to 0.5) "
        "(`PENGUINS_MAX_P_VALUE`).",
    )
    max_recall_drop: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="How much of any class's recall a promotion may cost, 0 to 1 (`PENGUINS_MAX_RECALL_DROP`).",
    )
    schema_change: Literal["ask", "refuse"] = Field(
        default="ask",
        description="For a version whose contract isn't the champion's: `ask` a person, or `refuse` it.",
    )
    shadow_predictions: int = Field(
        default=0,
        ge=0,
        description="Predictions beside Production that a version must have given in the shadow before it is promoted; "
        "rows of tables don't count, and 0 is for none (`PENGUINS_SHADOW_PREDICTIONS`).",
    )
    shadow_days: float = Field(
        default=14,
        gt=0,
        le=3650,
        description="Days after which a version leaves the shadow without a promotion (`PENGUINS_SHADOW_DAYS`).",
    )
    log_fraction: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the requests whose predictions the service logs, 0 for none to 1 for all.",
    )

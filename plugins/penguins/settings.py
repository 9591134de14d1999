"""Settings of the pipeline, read from the environment."""

from functools import cache

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings from environment variables that start with `PENGUINS_`."""

    model_config = SettingsConfigDict(env_prefix="PENGUINS_")

    schedule: str = Field(
        default="@weekly",
        description="When the DAG retrains: a cron expression or an Airflow preset; empty for only by hand.",
    )
    allowed_hosts: str = Field(
        default="",
        pattern=r"^(\*|[\w.,\- ]*)$",
        description="Names under which Airflow may be asked, as a proxy's, separated by commas, besides localhost and "
        "127.0.0.1; `*` for any.",
    )
    data_source: str = Field(
        default="palmerpenguins",
        description="Default source of load_raw: `palmerpenguins`, "
        "the path of a CSV or Parquet file, or an `s3://` address of one.",
    )
    max_rejected_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Share of rows that may break the data contract before a task fails (0 to 1).",
    )
    connection_id: str = Field(
        default="penguins_db",
        description="Airflow connection of the pipeline's database.",
    )
    experiment: str = Field(
        default="penguins_experiment",
        description="MLflow experiment that the runs are logged to.",
    )
    model_name: str = Field(
        default="penguins_rf",
        description="Registered model that the best candidate becomes a version of.",
    )
    mlflow_tracking_uri: str = Field(
        default="http://127.0.0.1:5001",
        validation_alias="MLFLOW_TRACKING_URI",
        description="MLflow server to log to and to register at.",
    )
    signing_key: SecretStr | None = Field(
        default=None,
        description="Private key that candidates and versions are signed with; only for what trains and registers.",
    )
    trusted_keys: str | None = Field(
        default=None,
        description="Public keys, separated by commas: only models that one of them has signed are opened.",
    )
    mlflow_ui_url: str | None = Field(
        default=None,
        description="Address of MLflow for a browser, for links; empty if that is the address above.",
    )
    api_url: str = Field(
        default="http://127.0.0.1:8000",
        description="The prediction service, as the page, `make models` and the notebook reach it.",
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="Key that the page and `make models` ask the service with, if it requires one.",
    )
    retry_seconds: float = Field(
        default=10,
        gt=0,
        description="Seconds until a task is tried again whose service didn't answer; doubled at each further try.",
    )
    jobs: int = Field(
        default=-1,
        description="Processes that fit candidates at the same time; -1 takes every core.",
    )
    min_accuracy: float = Field(
        default=0.9,
        ge=0,
        le=1,
        description="Accuracy on the hold-out that a version needs to be promoted at all (0 to 1).",
    )
    max_p_value: float = Field(
        default=0.5,
        gt=0,
        le=0.5,
        description="Largest p-value, of the exact McNemar test against Production, that promotes; "
        "at 0.5 being right on more rows is enough.",
    )
    max_recall_drop: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="How much of the recall of any one species a promotion may cost (0 to 1).",
    )
    git_commit: str = Field(
        default="unknown",
        description="Commit of the code that runs, written on runs and versions.",
    )

    @property
    def mlflow_ui(self) -> str:
        """Return the address of MLflow for a browser, without a slash at its end."""
        return (self.mlflow_ui_url or self.mlflow_tracking_uri).rstrip("/")


@cache
def settings() -> Settings:
    """Read the settings of this process, once."""
    return Settings()

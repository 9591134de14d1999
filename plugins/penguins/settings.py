"""Settings of the pipeline, read from the environment."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT: Final = Path(__file__).resolve().parents[2]
"""The folder of the project."""


def _zero_if_empty(value: Any) -> Any:
    return 0 if value == "" else value


Days = Annotated[int, BeforeValidator(_zero_if_empty), Field(ge=0, le=36500)]
"""A time for which something is kept; 0 or empty for ever."""


class Settings(BaseSettings):
    """Settings from environment variables that start with `PENGUINS_`."""

    model_config = SettingsConfigDict(env_prefix="PENGUINS_")

    contracts_dir: Annotated[Path, AfterValidator(lambda path: ROOT / path)] = Field(
        default=ROOT / "contracts",
        description="Folder of the contract files; a relative path begins at the project's folder.",
    )
    # These override contracts/penguins.yaml; None for what it says.
    schedule: str | None = Field(
        default=None,
        description="When the penguins are trained: a cron expression or an Airflow preset; empty for only by hand.",
    )
    data_source: str | None = Field(
        default=None,
        description="Default source of the penguins: `palmerpenguins`, the path of a file, an `s3://` "
        "address of one, or `table:name`.",
    )
    max_rejected_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of the penguins that may break the contract before a task fails (0 to 1).",
    )
    experiment: str | None = Field(
        default=None,
        description="MLflow experiment that the runs of the penguins are logged to.",
    )
    model_name: str | None = Field(
        default=None,
        description="Registered model that the best candidate of the penguins becomes a version of.",
    )
    min_accuracy: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Accuracy on the hold-out that a version of the penguins needs to be promoted at all (0 to 1).",
    )
    max_p_value: float | None = Field(
        default=None,
        gt=0,
        le=0.5,
        description="Largest p-value, of the exact McNemar test against Production, that promotes; "
        "at 0.5 being right on more rows is enough.",
    )
    max_recall_drop: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="How much of the recall of any one species a promotion may cost (0 to 1).",
    )
    shadow_predictions: int | None = Field(
        default=None,
        ge=0,
        description="Predictions beside Production that a version of the penguins must have given in the shadow before "
        "it is promoted; rows of tables don't count, and 0 is for none.",
    )
    shadow_days: float | None = Field(
        default=None,
        gt=0,
        le=3650,
        description="Days after which a version of the penguins leaves the shadow without a promotion.",
    )
    monitoring_window: str | None = Field(
        default=None,
        description="Time whose predictions of the penguins are judged together, such as `20s`, `15min`, `1h` or `1d`.",
    )
    accuracy_floor: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Accuracy of the penguins' model, by the truth, below which there is an alarm.",
    )
    new_truth: int | None = Field(
        default=None,
        ge=1,
        description="Number of true species since the last training from which on there is an alarm.",
    )
    cooldown: str | None = Field(
        default=None,
        description="Time after an alarm about the penguins in which no other one of its kind is raised, and after a "
        "training for an alarm in which no alarm starts another one.",
    )
    retrain: bool | None = Field(
        default=None,
        description="Whether an alarm about the penguins starts a training.",
    )
    use_production_rows: bool | None = Field(
        default=None,
        description="Whether predictions of penguins whose true species is known join the training rows.",
    )
    allowed_hosts: str = Field(
        default="",
        pattern=r"^([\w.,\- ]*,)?\*$|^[\w.,\- ]*$",
        description="Names under which Airflow may be asked, as a proxy's, separated by commas, besides localhost and "
        "127.0.0.1; `*` for any.",
    )
    connection_id: str = Field(
        default="penguins_db",
        description="Airflow connection of the pipeline's database.",
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
        description="The prediction service, as the page, tasks, commands and the notebook reach it.",
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="Key that the page, tasks and commands ask the service with, if it requires one.",
    )
    notify_url: SecretStr | None = Field(
        default=None,
        description="Apprise URL that failed runs, alarms and promotions are told to, or several, separated by spaces; "
        "empty for nobody.",
    )
    alerts_token: SecretStr | None = Field(
        default=None,
        description="Token by which Alertmanager tells alerts to PENGUINS_NOTIFY_URL, through Airflow's API server.",
    )
    retry_seconds: float = Field(
        default=10,
        gt=0,
        description="Seconds until a task is tried again whose service didn't answer; doubled at each further try.",
    )
    run_retention_days: Days = Field(
        default=0,
        description="Days after which runs in MLflow that nothing names are deleted, with their models and files; "
        "0 for never.",
    )
    history_retention_days: Days = Field(
        default=0,
        description="Days after which Airflow's history of DAG runs and tasks is deleted; 0 for never.",
    )
    task_log_retention_days: Days = Field(
        default=0,
        description="Days after which the logs of Airflow's tasks are deleted; 0 for never.",
    )
    disk_free_percent: Annotated[float, BeforeValidator(_zero_if_empty)] = Field(
        default=10,
        ge=0,
        lt=100,
        description="Free part of a disk, in percent, below which there are warnings; 0 for none.",
    )
    airflow_database: SecretStr | None = Field(
        default=None,
        description="Address of Airflow's database for keeping house; only for what runs tasks.",
    )
    jobs: int = Field(
        default=-1,
        description="Processes that fit candidates at the same time; -1 takes every core.",
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

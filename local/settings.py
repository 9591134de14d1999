"""Settings of the embedded stack, from environment variables or the repository's .env."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from local.ports import free_ports

REPO = Path(__file__).resolve().parent.parent

Port = Annotated[int, Field(ge=1, le=65535)]
ConsolePort = Annotated[int, Field(ge=1, le=65535 - 10_000)]


class Settings(BaseSettings):
    """Settings of the embedded stack. Raises pydantic.ValidationError for a value it can't use."""

    model_config = SettingsConfigDict(env_file=REPO / ".env", extra="ignore", frozen=True, populate_by_name=True)

    airflow_port: Port = Field(default=8080, description="Port of the Airflow UI and API on 127.0.0.1.")
    mlflow_port: Port = Field(default=5001, description="Port of the MLflow UI and API on 127.0.0.1.")
    api_port: Port = Field(default=8000, description="Port of the prediction service on 127.0.0.1.")
    lab_port: Port = Field(default=8888, description="Port of JupyterLab (`make lab`) on 127.0.0.1.")
    s3_port: Port = Field(default=9000, description="Port of the S3 API on 127.0.0.1.")
    s3_console_port: ConsolePort = Field(
        default=9001,
        description="Port of the S3 server's console on 127.0.0.1. The one 10000 above it is used, too.",
    )
    postgres_port: Port = Field(default=15432, description="Port of PostgreSQL on 127.0.0.1.")
    state_dir: Path = Field(
        default=REPO / ".state",
        validation_alias="PENGUINS_STATE_DIR",
        description="Directory of everything the stack writes: data, logs, generated passwords.",
    )

    log_retention_days: int = Field(
        default=90,
        ge=1,
        le=36500,
        validation_alias="PENGUINS_LOG_RETENTION_DAYS",
        description="Days after which predictions and truth in the prediction log are deleted.",
    )

    backup_dir: Path = Field(
        default=REPO / "backups",
        validation_alias="PENGUINS_BACKUP_DIR",
        description="Folder of the archives of `make backup`.",
    )

    backup_hours: float = Field(
        default=0,
        ge=0,
        validation_alias="PENGUINS_BACKUP_HOURS",
        description="Hours between two backups that the stack makes by itself; 0 for none.",
    )
    backup_keep: int = Field(
        default=7,
        ge=1,
        validation_alias="PENGUINS_BACKUP_KEEP",
        description="Archives that are kept in PENGUINS_BACKUP_DIR after one of these.",
    )

    disk_free_percent: float = Field(
        default=10,
        ge=0,
        lt=100,
        validation_alias="PENGUINS_DISK_FREE_PERCENT",
        description="Free part of a disk, in percent, below which there are warnings; 0 for none.",
    )

    @field_validator("disk_free_percent", mode="before")
    @classmethod
    def _zero_if_empty(cls, value: Any) -> Any:
        return 0 if value == "" else value

    @field_validator("state_dir", "backup_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @model_validator(mode="after")
    def _one_port_each(self) -> Self:
        seen: dict[int, str] = {}
        for variable, port in self.ports.items():
            if port in seen:
                raise ValueError(f"{seen[port]} and {variable} are both {port}")
            seen[port] = variable
        return self

    @property
    def ports(self) -> dict[str, int]:
        """Every published port by the name of its variable."""
        return {name.upper(): getattr(self, name) for name in type(self).model_fields if name.endswith("_port")}

    @classmethod
    def on_free_ports(cls, state_dir: Path) -> Self:
        """Return settings for a second stack, with free ports only."""
        names = [name for name in cls.model_fields if name.endswith("_port")]
        values: dict[str, Any] = dict(zip(names, free_ports(len(names)), strict=True))
        return cls(state_dir=state_dir, **values)

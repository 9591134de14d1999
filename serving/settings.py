"""The service's settings, and their descriptions for `--help`."""

import os
from pathlib import Path
from textwrap import fill

from platformdirs import user_cache_path
from pydantic import AnyHttpUrl, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.signatures import TrustedKeys, parse_trusted_keys

SECRETS = ("SERVING_API_KEYS", "SERVING_API_KEYS_FILE", "PROMETHEUS_MULTIPROC_DIR")
"""Variables that a process for a table has no use for; with the last one each would leave a file of counts."""

NAME = r"^[^/:%\s]+$"


class Settings(BaseSettings):
    """Settings of the service, read from the environment."""

    model_config = SettingsConfigDict(env_prefix="SERVING_", env_ignore_empty=True, frozen=True, populate_by_name=True)

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on.")
    allowed_hosts: str = Field(
        default="",
        description="Names under which clients may ask, as a proxy's, separated by commas, besides localhost and "
        "addresses in numbers; `*` for any.",
    )
    log_level: str = Field(
        default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="DEBUG, INFO, WARNING or ERROR."
    )
    mlflow_tracking_uri: AnyHttpUrl = Field(
        default=AnyHttpUrl("http://127.0.0.1:5001"),
        validation_alias="MLFLOW_TRACKING_URI",
        description="MLflow server that holds the registry and the artifacts.",
    )
    model_name: str = Field(default="penguins_rf", pattern=NAME, description="Registered model to serve.")
    models: str = Field(
        default="",
        pattern=r"^[^/:%\s'\"]*$",
        description="Registered models to serve, separated by commas; the first is that of `/predict`; empty for"
        " SERVING_MODEL_NAME.",
    )
    models_file: Path | None = Field(
        default=None,
        description="File with more registered models, one a line; read again whenever it changes.",
    )
    alias: str = Field(default="production", pattern=NAME, description="Alias of the version to serve.")
    stage: str = Field(default="Production", description="Stage of the version to serve while the alias isn't set.")
    trusted_keys: str | None = Field(
        default=None,
        description="Public keys, separated by commas: only versions that one of them has signed are loaded.",
    )
    poll_seconds: float = Field(default=1.0, gt=0, description="Seconds between two polls of the registry.")
    max_backoff_seconds: float = Field(
        default=15.0, gt=0, description="Longest pause between two polls while MLflow doesn't answer."
    )
    retry_refused_seconds: float = Field(
        default=300.0,
        gt=0,
        description="Seconds until a refused version is downloaded and checked again.",
    )
    connect_timeout_seconds: float = Field(default=2.0, gt=0, description="Longest wait for a connection to MLflow.")
    read_timeout_seconds: float = Field(default=10.0, gt=0, description="Longest wait for bytes from MLflow.")
    max_artifact_bytes: int = Field(
        default=256 * 1024 * 1024, gt=0, description="Largest model file that is downloaded, in bytes."
    )
    workers: int = Field(
        default=1, ge=1, description="Processes that answer; each follows the registry and holds the model itself."
    )
    max_body_bytes: int = Field(
        default=4 * 1024 * 1024, gt=0, description="Largest request body in JSON that is accepted, in bytes."
    )
    max_rows: int = Field(default=10_000, gt=0, description="Most penguins in one JSON list.")
    max_table_bytes: int = Field(
        default=1024**3, gt=0, description="Largest table in CSV, Arrow or Parquet that is accepted, in bytes."
    )
    max_answer_bytes: int = Field(default=8 * 1024**3, gt=0, description="Largest answer to a table, in bytes.")
    table_memory_bytes: int = Field(
        default=512 * 1024**2, gt=0, description="Most memory of the process that answers a table, in bytes."
    )
    table_processor_seconds: float = Field(
        default=60.0,
        gt=0,
        description="Most processor time to answer a table, for each 64 MiB of values that one of its size may have; it"
        " may take four times as long.",
    )
    max_requests: int = Field(
        default=256, gt=0, description="Most predictions under way at once in one process; more are answered with 503."
    )
    max_tables: int = Field(
        default=2, gt=0, description="Most tables under way at once in one process; more are answered with 503."
    )
    header_seconds: float = Field(
        default=20.0, gt=0, description="Longest time for the headers of a request, then its connection is closed."
    )
    body_seconds: float = Field(
        default=30.0,
        gt=0,
        description="Longest time for a JSON body, and longest pause in a table.",
    )
    min_bytes_per_second: float = Field(
        default=8192.0,
        gt=0,
        description="Least average speed of a table that arrives and of an answer that is read; a client may be behind"
        " by SERVING_BODY_SECONDS.",
    )
    table_seconds: float = Field(
        default=900.0, gt=0, description="Longest time for a table to arrive, and for its answer to be read."
    )
    ready_while_refused: bool = Field(
        default=True, description="Stay ready with the version before while the one in Production is refused."
    )
    ready_silence_seconds: float | None = Field(
        default=None, gt=0, description="Silence of the registry after which the service isn't ready; empty for any."
    )
    api_keys: SecretStr | None = Field(
        default=None, description="API keys, separated by commas; without any here or in a file, nobody needs one."
    )
    api_keys_file: Path | None = Field(
        default=None, description="File with more API keys, one a line; read again whenever it changes."
    )
    access_log: bool = Field(default=False, description="Log every request, not only those that fail.")
    cache_dir: Path = Field(
        default_factory=lambda: user_cache_path("penguins-serving"),
        description="Folder of the verified copies that are served while MLflow is down.",
    )
    log_dir: Path | None = Field(
        default=None,
        description="Folder of the prediction log's spool, from which the shipper fetches it; empty for no log.",
    )
    log_max_bytes: int = Field(
        default=1024**3,
        gt=0,
        description="Most bytes of the spool; above it predictions are answered and counted, but not logged.",
    )
    log_buffer_bytes: int = Field(
        default=64 * 1024**2,
        gt=0,
        description="Most memory of predictions that wait to be written; more are counted, but not logged.",
    )
    log_wait_seconds: float = Field(
        default=60.0, ge=0, description="Longest wait of a table for room in the spool, before it isn't logged."
    )
    shutdown_seconds: float = Field(
        default=10.0, gt=0, description="Longest wait for requests under way when the service is stopped."
    )

    @property
    def first_models(self) -> tuple[str, ...]:
        """Return the registered models that aren't in the file, the one of `/predict` first."""
        return tuple(dict.fromkeys(name for name in self.models.split(",") if name)) or (self.model_name,)

    def read_trusted_keys(self) -> TrustedKeys:
        """Return the trusted keys.

        Raises:
            ValueError: one of them isn't a public key.
        """
        try:
            return parse_trusted_keys(self.trusted_keys or "")
        except ValueError as error:
            raise ValueError(f"{variable('trusted_keys')}: {error}") from None


def without_secrets() -> dict[str, str]:
    """Return the environment of a process that reads what clients have sent."""
    return {name: value for name, value in os.environ.items() if name not in SECRETS}


def variable(field: str) -> str:
    """Return the name of the environment variable that sets `field`."""
    alias = Settings.model_fields[field].validation_alias
    return str(alias) if alias else f"SERVING_{field.upper()}"


def explain() -> str:
    """Return one paragraph for each setting: variable, default and meaning."""
    paragraphs = []
    for name, field in Settings.model_fields.items():
        text = fill(field.description or "", 100, initial_indent="      ", subsequent_indent="      ")
        default = field.get_default(call_default_factory=True)
        paragraphs.append(f"  {variable(name)}={'' if default is None else default}\n{text}")
    return "\n".join(paragraphs)

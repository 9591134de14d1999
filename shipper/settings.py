"""The shipper's settings, and their descriptions for `--help`."""

from pathlib import Path
from textwrap import fill

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of the shipper, read from the environment."""

    model_config = SettingsConfigDict(env_prefix="SHIPPER_", env_ignore_empty=True, frozen=True)

    log_dir: Path = Field(description="Folder of the prediction log: the one that the service has as SERVING_LOG_DIR.")
    database_url: SecretStr = Field(description="Address of the database `penguins`, with the role `shipper`.")
    poll_seconds: float = Field(default=0.5, gt=0, description="Seconds between two looks for new segments.")
    max_backoff_seconds: float = Field(
        default=10.0, gt=0, description="Longest pause between two tries while PostgreSQL doesn't take a segment."
    )
    damaged_retention_days: int = Field(
        default=0,
        ge=0,
        le=36500,
        description="Days after which segments that were set aside as damaged are deleted; 0 for never.",
    )


def explain() -> str:
    """Return one paragraph for each setting: variable, default and meaning."""
    paragraphs = []
    for name, field in Settings.model_fields.items():
        text = fill(field.description or "", 100, initial_indent="      ", subsequent_indent="      ")
        default = "" if field.is_required() else field.default
        paragraphs.append(f"  SHIPPER_{name.upper()}={default}\n{text}")
    return "\n".join(paragraphs)

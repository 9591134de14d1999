"""Everything that describes one stack: what the user set, its secrets and its paths."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from local.credentials import Credentials
from local.errors import StackError
from local.layout import Layout
from local.ports import LOOPBACK
from local.settings import Settings


@dataclass(frozen=True)
class Config:
    """One stack's settings, secrets and paths."""

    settings: Settings
    credentials: Credentials
    layout: Layout

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Create the state directory and the credentials where they don't exist yet."""
        layout = Layout(settings.state_dir)
        layout.create()
        return cls(settings, Credentials.load_or_create(layout.credentials), layout)

    @property
    def urls(self) -> dict[str, str]:
        """Base URL of each program that speaks HTTP."""
        ports = {
            "airflow-api-server": self.settings.airflow_port,
            "mlflow": self.settings.mlflow_port,
            "api": self.settings.api_port,
            "s3": self.settings.s3_port,
            "s3-console": self.settings.s3_console_port,
        }
        return {name: f"http://{LOOPBACK}:{port}" for name, port in ports.items()}

    def database_url(self, role: str, scheme: str = "postgresql") -> str:
        """URL of the database that belongs to the role."""
        password = getattr(self.credentials, f"{role}_db_password")
        return f"{scheme}://{role}:{password}@{LOOPBACK}:{self.settings.postgres_port}/{role}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands from changing this stack meanwhile. Raises StackError when one is at it."""
        with self.layout.lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StackError("another command is starting or stopping this stack; wait for it") from error
            yield

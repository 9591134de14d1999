"""Description of one stack: its settings, secrets and paths."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from local import version
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
        """Create the state directory and the credentials if they don't exist; a newer version's stay as they are."""
        layout = Layout(settings.state_dir)
        layout.create()
        if version.is_newer(layout):
            return cls(settings, Credentials.model_validate_json(layout.credentials.read_text()), layout)
        return cls(settings, Credentials.load_or_create(layout.credentials), layout)

    @property
    def urls(self) -> dict[str, str]:
        """Base URL of each program with an HTTP interface."""
        ports = {
            "airflow-api-server": self.settings.airflow_port,
            "mlflow": self.settings.mlflow_port,
            "api": self.settings.api_port,
            "s3": self.settings.s3_port,
            "s3-console": self.settings.s3_console_port,
        }
        return {name: f"http://{LOOPBACK}:{port}" for name, port in ports.items()}

    def database_url(self, role: str, scheme: str = "postgresql") -> str:
        """Return the URL of the role's database."""
        password = getattr(self.credentials, f"{role}_db_password")
        database = "penguins" if role == "shipper" else role
        return f"{scheme}://{role}:{password}@{LOOPBACK}:{self.settings.postgres_port}/{database}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of this stack during the block. Raises StackError if another command holds it."""
        with self.layout.lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StackError("another command is starting or stopping this stack; wait for it") from error
            yield

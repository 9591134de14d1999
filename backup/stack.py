"""Addresses and folders of the stack that a backup is made of, or restored into."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

Report = Callable[[str, str], None]
"""Takes the name of a part and its state, such as running or ready."""

_NO_PASSWORD_IN_CLEAR = "scram-sha-256"  # noqa: S105  a method of login


@dataclass(frozen=True)
class Login:
    """A role of PostgreSQL, and the database that it is used in."""

    host: str
    port: int
    role: str
    password: str
    database: str

    def variables(self) -> dict[str, str]:
        """Return the environment of PostgreSQL's programs, without another installation's variables."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return kept | {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.role,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.database,
            "PGREQUIREAUTH": _NO_PASSWORD_IN_CLEAR,
            "PGCONNECT_TIMEOUT": "10",
        }

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection in autocommit mode, in which names of schemas are written out."""
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.role,
            password=self.password,
            dbname=self.database,
            require_auth=_NO_PASSWORD_IN_CLEAR,
            connect_timeout=10,
            autocommit=True,
            options="-c search_path=pg_catalog,pg_temp -c timezone=UTC -c datestyle=ISO",
        )


@dataclass(frozen=True)
class Bucket:
    """A bucket of an S3 server."""

    endpoint: str
    access_key: str
    secret_key: str
    name: str


@dataclass(frozen=True)
class Stack:
    """The places of all that a stack keeps.

    Attributes:
        databases: the login of each role that owns tables: airflow, mlflow and penguins.
        programs: folder of pg_dump and pg_restore.
        spool: folder of the prediction log.
        models: file with the registered models that the service serves.
        contracts: folder of the contract files.
    """

    databases: Mapping[str, Login]
    programs: Path
    bucket: Bucket
    spool: Path
    models: Path
    contracts: Path

"""The gate's verdicts in PostgreSQL: append-only, see init-db/05-records.sql."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from penguins.errors import UserError
from penguins.promotion.audit import created_at


@dataclass(frozen=True)
class Verdict:
    """A kept verdict.

    Attributes:
        champion: number of the version in Production when the version was judged.
        asked: whether the page asks a person.
    """

    version: str
    version_created_at: datetime
    champion: str | None
    promote: bool
    reason: str
    numbers: Mapping[str, Any]
    asked: bool


_COLUMNS = "version, version_created_at, champion, promote, reason, numbers, asked"


def append(
    connection: Connection[Any],
    version: ModelVersion,
    champion: str | None,
    promote: bool,
    reason: str,
    numbers: Mapping[str, Any],
    asked: bool = False,
) -> None:
    """Add a verdict; of each version the latest counts."""
    connection.execute(
        f"INSERT INTO audit.verdicts (model, {_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",  # noqa: S608 (constants)
        [
            version.name,
            version.version,
            created_at(version),
            champion,
            promote,
            reason,
            Jsonb(dict(numbers)),
            asked,
        ],
    )


def read(connection: Connection[Any], model: str) -> dict[tuple[str, datetime], Verdict]:
    """Return the latest verdict on each version of a registered model, by its number and the time it was registered."""
    with connection.cursor(row_factory=class_row(Verdict)) as cursor:
        cursor.execute(
            f"""SELECT DISTINCT ON (version, version_created_at) {_COLUMNS} FROM audit.verdicts
                WHERE model = %s ORDER BY version, version_created_at, id DESC""",  # noqa: S608 (constants)
            [model],
        )
        return {(verdict.version, verdict.version_created_at): verdict for verdict in cursor}


def find(connection: Connection[Any], version: ModelVersion) -> Verdict | None:
    """Return the latest verdict on a version, if it was judged."""
    return read(connection, version.name).get((version.version, created_at(version)))


def require(connection: Connection[Any], version: ModelVersion) -> Verdict:
    """Return the latest verdict on a version.

    Raises:
        UserError: it was never judged.
    """
    found = find(connection, version)
    if found is None:
        raise UserError(
            f"{version.name} version {version.version} has no verdict of the gate. Clear register_best to judge it, or "
            "promote it by hand."
        )
    return found

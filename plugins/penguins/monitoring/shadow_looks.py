"""The latest look at each version in the shadow, kept so that the page needs no row of the prediction log."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

_KEEP: Final = """INSERT INTO monitoring.shadow (contract, version, champion, since, outcome, reason, numbers)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (contract, version, since) DO UPDATE SET
        outcome = excluded.outcome, reason = excluded.reason, numbers = excluded.numbers, looked_at = now()"""


@dataclass(frozen=True)
class Look:
    """A look at a version in the shadow. init-db/07-monitoring.sql explains the columns."""

    version: str
    champion: str
    since: datetime
    outcome: str
    reason: str
    numbers: Mapping[str, Any]
    looked_at: datetime | None = None


def keep(connection: Connection[Any], contract: str, look: Look) -> None:
    """Keep a look in place of the one before at the same version."""
    values = [look.version, look.champion, look.since, look.outcome, look.reason, Jsonb(dict(look.numbers))]
    connection.execute(_KEEP, [contract, *values])


def latest(connection: Connection[Any], contract: str) -> Look | None:
    """Return the latest look at a version in the shadow of a contract's champion."""
    with connection.cursor(row_factory=class_row(Look)) as cursor:
        return cursor.execute(
            """SELECT version, champion, since, outcome, reason, numbers, looked_at FROM monitoring.shadow
               WHERE contract = %s ORDER BY looked_at DESC LIMIT 1""",
            [contract],
        ).fetchone()

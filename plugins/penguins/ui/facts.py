"""Facts about the version in Production, by which the page says whether it can be trusted."""

from datetime import datetime, timedelta
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import class_row
from pydantic import BaseModel

from contract.schema import DataContract
from penguins.promotion import audit
from penguins.ui.accuracy import Share

LOOKED_AT: Final = 24
"""The latest windows of the version that are looked at."""

_WEEK: Final = timedelta(days=7)

_LATEST: Final = """SELECT window_start AS start, window_end AS "end", rows, verdict, features,
        estimate->'accuracy' AS estimate, coalesce((live->>'labelled')::bigint, 0) AS labelled,
        coalesce((live->'accuracy'->>'right')::bigint, 0) AS "right"
    FROM monitoring.verdicts WHERE contract = %s AND version = %s ORDER BY window_end DESC LIMIT %s"""

_KNOWN: Final = """SELECT coalesce(sum((live->'accuracy'->>'right')::bigint), 0)::bigint,
        coalesce(sum((live->>'labelled')::bigint), 0)::bigint
    FROM monitoring.verdicts WHERE contract = %s AND version = %s AND window_end > %s"""

_OPEN: Final = """SELECT id, EXISTS (
        SELECT FROM audit.promotions WHERE dag_run_id = run_id AND promotions.model = alarms.model
    ) FROM monitoring.alarms WHERE contract = %s AND outcome IS NULL AND emitted_at IS NOT NULL
    ORDER BY id DESC LIMIT 1"""


class Seen(BaseModel):
    """A window of the version in Production, with the rows whose class is known, and those that it has right."""

    start: datetime
    end: datetime
    rows: int
    verdict: str
    features: list[str]
    estimate: Share | None
    labelled: int
    right: int


class Facts(BaseModel):
    """The facts about the version in Production.

    Attributes:
        windows: its latest ones, the latest first.
        right: rows of the last seven days that it has right, of the `labelled` ones whose class is known.
        holdout: its accuracy when it was judged, if it was.
        asked: number of the alarm that has asked for a training, of which it is open what becomes.
        is_shadowed: whether its version answers in the shadow.
    """

    version: str
    windows: list[Seen]
    right: int
    labelled: int
    holdout: Share | None
    asked: int | None
    is_shadowed: bool = False

    @property
    def live(self) -> Share | None:
        """Return the accuracy by the truth of the last seven days."""
        return Share.of(self.right, self.labelled)

    @property
    def decided(self) -> list[Seen]:
        """Return the windows with a verdict on their rows."""
        return [each for each in self.windows if each.verdict in ("stable", "drifted")]


def read_facts(connection: Connection[Any], contract: DataContract, now: datetime) -> Facts | None:
    """Read what is known of the version in Production; None if there is none."""
    move = audit.last_move(audit.trail(connection, contract.training.registered_model))
    if move is None:
        return None
    with connection.cursor(row_factory=class_row(Seen)) as cursor:
        windows = cursor.execute(_LATEST, [contract.name, move.to_version, LOOKED_AT]).fetchall()
    ((right, labelled),) = connection.execute(_KNOWN, [contract.name, move.to_version, now - _WEEK])
    asked = connection.execute(_OPEN, [contract.name]).fetchone()
    return Facts(
        version=move.to_version,
        windows=windows,
        right=right,
        labelled=labelled,
        holdout=_holdout(move.numbers),
        asked=asked[0] if asked else None,
        is_shadowed=bool(asked and asked[1]),
    )


def _holdout(numbers: dict[str, Any]) -> Share | None:
    accuracy, rows = numbers.get("accuracy"), numbers.get("rows")
    if not isinstance(accuracy, float | int) or not isinstance(rows, int):  # decided by hand
        return None
    return Share.of(round(accuracy * rows), rows)

"""Look for the predictions that truths are about, and for truths that have none."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import pyarrow as pa
from psycopg import Connection

from penguins.monitoring.predictions import LONGEST_REQUEST

SHOWN: Final = 3
LISTED: Final = 20
LONGEST_WAIT: Final = timedelta(hours=1)
"""Longest time in which a prediction that is in the spool arrives, unless the shipper stands still."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = timedelta(days=80_000)

_MISSING: Final = """
    SELECT said.id, said.index FROM unnest(%s::uuid[], %s::integer[]) AS said (id, index)
    WHERE NOT EXISTS (
        SELECT FROM log.predictions AS rows
        WHERE rows.prediction_id = said.id AND rows.row_index = said.index AND rows.model = %s
            AND rows.at >= %s AND rows.at <= %s
    ) ORDER BY said.id, said.index
"""

_ORPHANS: Final = """
    SELECT said.prediction_id || '/' || said.row_index AS id, said.class, said.who, said.received_at,
        count(*) OVER () AS number
    FROM log.truth AS said WHERE said.model = %s AND said.received_at < %s AND NOT EXISTS (
        SELECT FROM log.predictions AS rows
        WHERE rows.prediction_id = said.prediction_id AND rows.row_index = said.row_index AND rows.model = said.model
    ) ORDER BY said.received_at DESC, id LIMIT %s
"""


class Orphan(NamedTuple):
    """A truth whose prediction isn't in the log; `number` is that of all such truths."""

    id: str
    class_name: str
    who: str
    received_at: datetime
    number: int


@dataclass(frozen=True)
class Missing:
    """Rows that the log doesn't have: their number, and the first ones."""

    rows: int = 0
    first: list[str] = field(default_factory=list)

    def __add__(self, other: "Missing") -> "Missing":
        """Return the missing rows of both."""
        return Missing(self.rows + other.rows, [*self.first, *other.first][:SHOWN])


def look(connection: Connection[Any] | None, model: str, rows: pa.Table) -> Missing:
    """Return the rows that the log doesn't have as predictions of a model.

    Args:
        connection: to the pipeline's database; None to look nowhere.
        rows: with sound texts as `prediction_id` and `row_index`.
    """
    if connection is None or not len(rows):
        return Missing()
    said = [text.lower().partition("/") for text in rows["prediction_id"].to_pylist()]
    ids = [identity for identity, _, _ in said]
    own = rows["row_index"].to_pylist()
    indices = [index or other or "0" for (_, _, index), other in zip(said, own, strict=True)]
    # The time in the ids, and that in the rows, are of the service's clock: only these partitions are searched.
    times = [_time(UUID(min(ids))) - LONGEST_REQUEST, _time(UUID(max(ids))) + LONGEST_REQUEST]
    # As texts: to write a hundred thousand objects as an array takes a second.
    arrays = ["{" + ",".join(values) + "}" for values in (ids, indices)]
    found = connection.execute(_MISSING, [*arrays, model, *times]).fetchall()
    return Missing(len(found), [f"{identity}/{index}" for identity, index in found[:SHOWN]])


def orphans(connection: Connection[Any], model: str, before: datetime) -> list[Orphan]:
    """Return the latest truths about a model that came before a time and have no prediction. This scans the log."""
    return [Orphan(*row) for row in connection.execute(_ORPHANS, [model, before, LISTED]).fetchall()]


def _time(identity: UUID) -> datetime:
    """Return the time that a UUID of version 7 begins with; of another id any time."""
    return _EPOCH + min(timedelta(milliseconds=identity.int >> 80), _LATEST)

"""Read the prediction log: the latest predictions, or those of one request, with the names of their contract."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from contract.segments import LoggedContract, LoggedFeature
from penguins.errors import UserError
from penguins.registry.prediction_views import create_view

LONGEST_REQUEST: Final = timedelta(hours=1)
"""Longest time between the id of a request and its answer, with room to spare."""

_TRUTH: Final = """(SELECT feedback.class FROM log.feedback
    WHERE feedback.prediction_id = predictions.prediction_id AND feedback.row_index = predictions.row_index
        AND feedback.model = predictions.model
    ORDER BY feedback.at DESC, feedback.received_at DESC, feedback.class, feedback.who LIMIT 1)"""
_COLUMNS: Final = f"""prediction_id, row_index, at, contract, model, version, class AS label, latency_ms, outside,
    fraction, features, probabilities, {_TRUTH} AS truth"""


_BY_INDEX: Final[tuple[LiteralString, ...]] = tuple(
    f"SET LOCAL enable_{way} = off" for way in ("bitmapscan", "seqscan", "sort")
)
"""The index by model and id gives the rows in their order; otherwise all of an hour would be read and sorted."""


@dataclass(frozen=True)
class Logged:
    """A row of the log. init-db/06-log.sql explains the columns."""

    prediction_id: UUID
    row_index: int
    at: datetime
    contract: bytes
    model: str
    version: str
    label: int
    latency_ms: float
    outside: int
    fraction: float
    features: list[float]
    probabilities: list[float]
    truth: str | None


@dataclass(frozen=True)
class Filter:
    """Conditions of a search; None for any."""

    model: str
    version: str | None = None
    class_name: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    only_outside: bool = False


def contracts(connection: Connection[Any], name: str | None = None) -> dict[bytes, LoggedContract]:
    """Return the contracts of logged predictions by their digests, the one that was seen first last."""
    rows = connection.execute(
        "SELECT digest, document FROM log.contracts WHERE name = %s OR %s::text IS NULL ORDER BY first_seen DESC",
        [name, name],
    )
    return {digest: LoggedContract.model_validate(document) for digest, document in rows}


def create_views(connection: Connection[Any], name: str) -> None:
    """Create the views of a contract that has predictions, unless they are there.

    A contract may be used again after another one: which is the current one is not for the log to say.
    """
    for digest, document in contracts(connection, name).items():
        create_view(connection, digest, document, is_current=False)


def latest(connection: Connection[Any], wanted: Filter, limit: int) -> list[Logged]:
    """Return the latest predictions, the last one first."""
    hours = _hours(connection, wanted, limit)
    if hours is None:
        return []
    statement, values = _search(connection, wanted, hours)
    with connection.transaction(), connection.cursor(row_factory=class_row(Logged)) as cursor:
        for each in _BY_INDEX:
            cursor.execute(each)
        return cursor.execute(statement, [*values, limit]).fetchall()


def _search(
    connection: Connection[Any], wanted: Filter, hours: tuple[datetime, datetime]
) -> tuple[LiteralString, list[Any]]:
    """Return a statement and its values but for the limit.

    The sums of the traffic say in which hours to look, and the ids are in the order of time: nothing else is scanned.
    """
    begin, end = hours
    # With `model = %s` the planner may take the index by id alone, and pass over all rows of a busier model.
    first, last = (wanted.model, first_id(begin - LONGEST_REQUEST)), (wanted.model, first_id(end))
    conditions: list[LiteralString] = ["(model, prediction_id) >= (%s, %s)", "(model, prediction_id) < (%s, %s)"]
    conditions += ["at >= %s", "at < %s"]
    values: list[Any] = [*first, *last, max(begin, wanted.since or begin), min(end, wanted.until or end)]
    if wanted.version is not None:
        conditions.append("version = %s")
        values.append(wanted.version)
    if wanted.only_outside:
        conditions.append("outside > 0")
    if wanted.class_name is not None:
        known = [(digest, found.classes) for digest, found in contracts(connection).items()]
        places = [(digest, names.index(wanted.class_name)) for digest, names in known if wanted.class_name in names]
        # Not a join with these pairs: for that the planner may read and sort all rows of the hours.
        pairs: list[LiteralString] = ["contract = %s AND class = %s" for _ in places]
        conditions.append(f"({' OR '.join(pairs) or 'FALSE'})")
        values += chain.from_iterable(places)
    statement = f"""SELECT {_COLUMNS} FROM log.predictions WHERE {" AND ".join(conditions)}
        ORDER BY model DESC, prediction_id DESC, row_index DESC LIMIT %s"""  # noqa: S608 (constants)
    return statement, values


def first_id(time: datetime) -> UUID:
    """Return the least id of a time: a UUID of version 7 begins with its milliseconds since 1970."""
    return UUID(int=max(0, int(time.timestamp() * 1000)) << 80)


def _hours(connection: Connection[Any], wanted: Filter, limit: int) -> tuple[datetime, datetime] | None:
    """Return a time in which there are `limit` rows, the latest, or all; None if there is none."""
    hours = connection.execute(
        """SELECT hour, sum(CASE WHEN %(only_outside)s THEN outside ELSE rows END) FROM log.traffic
           WHERE model = %(model)s AND (version = %(version)s OR %(version)s::text IS NULL)
               AND (class = %(class)s OR %(class)s::text IS NULL)
               AND (hour < %(until)s OR %(until)s::timestamptz IS NULL)
               AND (hour >= date_trunc('hour', %(since)s::timestamptz, 'UTC') OR %(since)s::timestamptz IS NULL)
           GROUP BY hour ORDER BY hour DESC""",
        {**vars(wanted), "class": wanted.class_name},
    ).fetchall()
    if not hours:
        return None
    end = hours[0][0] + timedelta(hours=1)
    found = 0
    for hour, rows in hours[1:]:  # the search may end within the last one
        found += rows
        if found >= limit:
            return hour, end
    return hours[-1][0], end


def of_request(connection: Connection[Any], text: str, limit: int) -> list[Logged]:
    """Return the rows of a request by its id, or the one of `id/index`.

    Raises:
        UserError: the text isn't such an id.
    """
    identity, _, index = text.partition("/")
    try:
        values = [UUID(identity), int(index) if index else None]
    except ValueError:
        raise UserError(f"{text} isn't the id of a prediction: it is a UUID, or UUID/row, as in the answer.") from None
    statement = f"""SELECT {_COLUMNS} FROM log.predictions
        WHERE prediction_id = %s AND (row_index = %s OR %s::int IS NULL) ORDER BY row_index LIMIT %s"""  # noqa: S608
    with connection.cursor(row_factory=class_row(Logged)) as cursor:
        return cursor.execute(statement, [values[0], values[1], values[1], limit]).fetchall()


def decode(contract: LoggedContract, features: Sequence[float]) -> Mapping[str, str]:
    """Return the values of a row by their names; an empty text for one that is missing or wasn't logged."""
    return {each.name: _text(each, value) for each, value in zip(contract.features, features, strict=True)}


def _text(feature: LoggedFeature, value: float) -> str:
    if value != value:
        return ""
    if feature.categories is None and feature.type != "boolean":
        return f"{value:.7g}"
    known: Sequence[object] = (False, True) if feature.categories is None else feature.categories
    return str(known[int(value)]) if int(value) < len(known) else ""

"""Spans of time whose predictions are judged together, and how far the prediction log is complete."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from psycopg import Connection

log = logging.getLogger(__name__)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

IS_THERE: Final = "noted_at > (SELECT max(noted_at) FROM log.watermarks) - interval '1 day'"
"""Condition of watermarks: a folder of segments that has been silent for a day longer than another one is gone."""

_WATERMARK: Final = f"SELECT min(complete_until) FROM log.watermarks WHERE {IS_THERE}"  # noqa: S608 (constants)

_ANY: Final = "SELECT FROM log.segments WHERE kind = 'predictions' LIMIT 1"


class Span(NamedTuple):
    """A time from `start` on and before `end`."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """Return its length."""
        return self.end - self.start

    def __str__(self) -> str:
        return f"{_text(self.start)} to {_text(self.end)} UTC"


def latest_span(until: datetime, length: timedelta) -> Span:
    """Return the last span that has ended at a time; spans begin at multiples of their length since 1970."""
    end = until - (until - _EPOCH) % length
    return Span(end - length, end)


def complete_until(connection: Connection[Any]) -> datetime | None:
    """Return the time before which all predictions have arrived in the log; None if nothing has ever come."""
    row = connection.execute(_WATERMARK).fetchone()
    return row[0] if row else None


def look(connection: Connection[Any], span: Span) -> bool:
    """Tell whether the predictions of a span have arrived, and say what is waited for; of an empty log none will."""
    until = complete_until(connection)
    is_missing = until < span.end if until else bool(connection.execute(_ANY).rowcount)
    if is_missing:
        log.info(
            "waiting: the prediction log is complete until %s UTC, and the window is %s. If this stays so: does the "
            "shipper run, and the service whose segments it waits for? `make status`, `make logs PROGRAM=shipper`",
            _text(until) if until else "an unknown time",
            span,
        )
    return not is_missing


def _text(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"

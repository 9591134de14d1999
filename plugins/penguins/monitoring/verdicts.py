"""The table of verdicts: init-db/07-monitoring.sql makes it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from penguins.monitoring.spans import Span

Word = Literal["stable", "drifted", "too few", "no reference"]

_KEY: Final = "contract = %s AND window_start = %s AND window_end = %s"
_KEPT: Final = ("contract", "model", "version", "window_start", "window_end", "rows", "predictions", "verdict")
_JUDGED: Final = (*_KEPT, "features", "numbers", "outside", "estimate", "live")
_DECIDED: Final = tuple(name for name in _JUDGED if name not in ("contract", "version", "window_start", "window_end"))
_WRITE: Final = f"""INSERT INTO monitoring.verdicts AS known ({", ".join(_JUDGED)})
    VALUES ({", ".join(f"%({name})s" for name in _JUDGED)})
    ON CONFLICT (contract, window_start, window_end, version) DO UPDATE SET
        {", ".join(f"{name} = excluded.{name}" for name in _DECIDED)},
        judged_at = now(), times_judged = known.times_judged + 1
        WHERE excluded.rows >= known.rows"""  # noqa: S608 (constants)


@dataclass(frozen=True)
class WindowVerdict:
    """The judgement of a window for one version. init-db/07-monitoring.sql explains the columns."""

    contract: str
    model: str
    version: str
    window_start: datetime
    window_end: datetime
    rows: int
    predictions: Mapping[str, int]
    verdict: Word
    features: list[str] = field(default_factory=list)
    numbers: Mapping[str, Any] = field(default_factory=dict)
    outside: int = 0
    estimate: Mapping[str, Any] = field(default_factory=dict)
    live: Mapping[str, Any] = field(default_factory=dict)
    judged_at: datetime | None = None
    times_judged: int = 0

    @property
    def span(self) -> Span:
        """Return the time of the window."""
        return Span(self.window_start, self.window_end)


_COLUMNS: Final = ", ".join((*_JUDGED, "judged_at", "times_judged"))


def write(connection: Connection[Any], judged: Iterable[WindowVerdict]) -> None:
    """Write verdicts, all or none. Those from before of the same windows and versions are replaced.

    But not by one on fewer rows: the log only grows, until its oldest rows are dropped.
    """
    with connection.transaction():
        # In one order: two runs that write the same rows would wait for each other.
        for each in sorted(judged, key=lambda each: (each.window_start, each.version)):
            values = vars(each) | {
                name: Jsonb(getattr(each, name)) for name in ("predictions", "features", "numbers", "estimate", "live")
            }
            connection.execute(_WRITE, values)


def of_window(connection: Connection[Any], contract: str, span: Span) -> list[WindowVerdict]:
    """Return the verdicts of a window, that of the version with most rows first."""
    return _select(connection, f"WHERE {_KEY} ORDER BY rows DESC, version", [contract, *span])


def latest(connection: Connection[Any], contract: str, limit: int) -> list[WindowVerdict]:
    """Return the verdicts of a contract, the latest first."""
    return _select(connection, "WHERE contract = %s ORDER BY window_end DESC, version LIMIT %s", [contract, limit])


def is_latest(connection: Connection[Any], contract: str, span: Span) -> bool:
    """Tell whether no later window of a contract was judged."""
    query = "SELECT FROM monitoring.verdicts WHERE contract = %s AND window_end > %s LIMIT 1"
    return not connection.execute(query, [contract, span.end]).rowcount


def missing(connection: Connection[Any], contract: str, model: str, before: Span, most: int) -> list[Span]:
    """Return the windows right before one, so many at most, that have predictions and no verdict.

    Nor one on a part of them: windows may have had another length, and no row counts twice.
    """
    steps = [count * before.length for count in range(1, most + 1)]
    query = """SELECT begins, ends FROM unnest(%s::timestamptz[], %s::timestamptz[]) AS span (begins, ends)
        WHERE NOT EXISTS (
            SELECT FROM monitoring.verdicts WHERE contract = %s AND window_start < ends AND window_end > begins
        ) AND EXISTS (SELECT FROM log.predictions WHERE model = %s AND at >= begins AND at < ends) ORDER BY begins"""
    starts, ends = ([side - step for step in steps] for side in before)
    return [Span(*each) for each in connection.execute(query, [starts, ends, contract, model])]


def _select(connection: Connection[Any], condition: str, values: list[Any]) -> list[WindowVerdict]:
    with connection.cursor(row_factory=class_row(WindowVerdict)) as cursor:
        statement = f"SELECT {_COLUMNS} FROM monitoring.verdicts {condition}"  # noqa: S608 (constants)
        return cursor.execute(statement.encode(), values).fetchall()

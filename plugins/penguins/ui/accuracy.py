"""Accuracy of the versions over time: by the truth, and estimated without labels."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Self

from psycopg import Connection
from pydantic import BaseModel

from penguins.monitoring.live import wilson

# The interval of several estimates is the mean of theirs, which is too wide rather than too narrow.
_ACCURACY: Final = """SELECT date_bin(%(bucket)s, window_start, %(origin)s) AS at, version, sum(rows)::bigint AS rows,
        count(*) AS windows, count(*) FILTER (WHERE verdict IN ('stable', 'drifted')) AS judged,
        count(*) FILTER (WHERE verdict = 'drifted') AS drifted,
        coalesce(sum((live->>'labelled')::bigint), 0)::bigint AS labelled,
        coalesce(sum((live->'accuracy'->>'right')::bigint), 0)::bigint AS "right",
        sum(rows * (estimate->'accuracy'->>'value')::float8) / nullif(sum(guessed), 0) AS value,
        sum(rows * (estimate->'accuracy'->>'low')::float8) / nullif(sum(guessed), 0) AS low,
        sum(rows * (estimate->'accuracy'->>'high')::float8) / nullif(sum(guessed), 0) AS high
    FROM monitoring.verdicts, LATERAL (SELECT CASE WHEN estimate ? 'accuracy' THEN rows END AS guessed) AS known
    WHERE contract = %(contract)s AND window_start >= %(since)s AND rows > 0 GROUP BY 1, 2 ORDER BY 1, 2"""


class Share(BaseModel):
    """A share with its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, right: int, count: int) -> Self | None:
        """Return the share of right ones; None of nothing."""
        found = wilson(right, count)
        return cls(**vars(found)) if found else None

    def __str__(self) -> str:
        return f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%})"


class Judged(BaseModel):
    """The judgements of a version within some time.

    Attributes:
        judged: windows with rows enough, and a reference, for a verdict.
        labelled: rows whose true class is known.
        estimate: the accuracy without labels.
    """

    at: datetime
    version: str
    rows: int
    windows: int
    judged: int
    drifted: int
    labelled: int
    live: Share | None
    estimate: Share | None


def read_judged(connection: Connection[Any], values: Mapping[str, Any]) -> list[Judged]:
    """Read what was judged since a time, by version."""
    found = []
    for at, version, rows, windows, judged, drifted, labelled, right, value, low, high in connection.execute(
        _ACCURACY, values
    ):
        found.append(
            Judged(
                at=at,
                version=version,
                rows=rows,
                windows=windows,
                judged=judged,
                drifted=drifted,
                labelled=labelled,
                live=Share.of(right, labelled),
                estimate=None if value is None else Share(value=value, low=low, high=high),
            )
        )
    return found

"""Accuracy and recalls of the answers of some time whose true classes are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection
from scipy.stats import binomtest

from penguins.monitoring.estimate import Interval
from penguins.monitoring.predictions import LONGEST_REQUEST, first_id

_LOOSE: Final = timedelta(seconds=1)

# The ids of requests begin with their time: the truth about a window is a range of the truth.
_COUNTS: Final = """SELECT rows.class, said.class, count(*), sum(extract(epoch FROM said.received_at - rows.at))
    FROM log.predictions AS rows JOIN log.truth AS said USING (prediction_id, row_index)
    WHERE rows.model = %(model)s AND rows.version = %(version)s AND rows.contract = %(contract)s
        AND rows.at >= %(since)s AND rows.at < %(until)s
        AND prediction_id >= %(first)s AND prediction_id < %(last)s AND said.model = %(model)s
    GROUP BY 1, 2"""


@dataclass(frozen=True)
class Live:
    """Answers whose truth is known.

    Attributes:
        classes: those of the version, and true ones that it doesn't know: these answers are wrong.
        confusion: their numbers by true and by predicted class `[classes, classes]`.
        delay: mean time from an answer to its truth; None without any.
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    delay: timedelta | None = None

    @property
    def labelled(self) -> int:
        """Return their number."""
        return int(self.confusion.sum())

    @property
    def right(self) -> int:
        """Return the number of right ones."""
        return int(np.trace(self.confusion))

    def document(self, rows: int) -> dict[str, Any]:
        """Return the numbers of a window with so many rows, to be kept as JSON."""
        by_class = zip(self.classes, np.diag(self.confusion), self.confusion.sum(axis=1), strict=True)
        counts = {
            true: {self.classes[place]: int(count) for place, count in enumerate(row) if count}
            for true, row in zip(self.classes, self.confusion, strict=True)
            if row.any()
        }
        return {
            "labelled": self.labelled,
            "coverage": self.labelled / rows if rows else 0.0,
            "delay_seconds": None if self.delay is None else round(self.delay.total_seconds(), 3),
            "accuracy": _document(self.right, self.labelled),
            "recalls": {name: _document(int(right), int(count)) for name, right, count in by_class if count},
            "confusion": counts,
        }

    def p_of_floor(self, floor: float) -> float:
        """Return the p-value, of the exact binomial test, for an accuracy of at least `floor`."""
        return float(binomtest(self.right, self.labelled, floor, "less").pvalue) if self.labelled else 1.0


def read_live(
    connection: Connection[Any],
    classes: Sequence[str],
    contract: bytes,
    model: str,
    version: str,
    since: datetime,
    until: datetime,
) -> Live:
    """Read what is known by now of the answers that a version with this contract gave in some time."""
    values = {
        "model": model,
        "version": version,
        "contract": contract,
        "since": since,
        "until": until,
        "first": first_id(since - LONGEST_REQUEST),
        "last": first_id(until + _LOOSE),
    }
    rows = connection.execute(_COUNTS, values).fetchall()
    # The service also takes classes of versions that it has served.
    names = list(dict.fromkeys([*classes, *sorted(true for _, true, _, _ in rows)]))
    confusion = np.zeros((len(names), len(names)), np.int64)
    for answer, true, count, _ in rows:
        confusion[names.index(true), answer] += count
    number, seconds = int(confusion.sum()), sum(float(waited) for *_, waited in rows)
    return Live(tuple(names), confusion, timedelta(seconds=seconds / number) if number else None)


def wilson(right: int, count: int) -> Interval | None:
    """Return a share with Wilson's 95 % interval (E. B. Wilson, JASA 22(158), 1927); None of nothing."""
    if not count:
        return None
    found = binomtest(right, count).proportion_ci(0.95, "wilson")
    return Interval(right / count, float(found.low), float(found.high))


def _document(right: int, count: int) -> dict[str, float] | None:
    found = wilson(right, count)
    return None if found is None else {**vars(found), "right": right, "rows": count}

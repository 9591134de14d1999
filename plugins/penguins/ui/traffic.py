"""Traffic of a model over time: by class, outside the training range, and with missing values."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg import Connection
from pydantic import BaseModel

from contract.schema import DataContract

# The log has sums by hours, of all that was answered. Shorter times are those of the windows that were judged.
_HOURS: Final = """SELECT date_bin(%(bucket)s, hour, %(origin)s), class, sum(rows)::bigint, sum(outside)::bigint,
        sum(missing)::float8
    FROM log.traffic WHERE model = %(model)s AND hour >= %(since)s GROUP BY 1, 2 ORDER BY 1, 2"""

_WINDOWS: Final = """SELECT date_bin(%(bucket)s, window_start, %(origin)s), predictions, outside, rows * (
        SELECT sum((feature->'missing'->>'window')::float8) FROM jsonb_array_elements(numbers->'features') AS feature
    ) FROM monitoring.verdicts
    WHERE contract = %(contract)s AND window_start >= %(since)s AND rows > 0 ORDER BY 1, version"""


class Traffic(BaseModel):
    """Predictions within some time.

    Attributes:
        classes: their numbers by class.
        outside: those with a value outside the training range.
        missing: share of the values that are missing, of those that are logged; None if nobody knows.
    """

    at: datetime
    classes: dict[str, int] = {}
    outside: int = 0
    missing: float | None = 0.0

    @property
    def rows(self) -> int:
        """Return the number of predictions."""
        return sum(self.classes.values())


def read_traffic(connection: Connection[Any], contract: DataContract, values: Mapping[str, Any]) -> list[Traffic]:
    """Read the traffic since a time.

    Args:
        values: `since`, and `bucket` and `origin` of the times that are summed up, and the name of the `contract`.
    """
    logged = sum(column.logged for column in contract.features)
    if values["bucket"] < timedelta(hours=1):
        found = _read_windows(connection, values)
    else:
        found = _read_hours(connection, {**values, "model": contract.training.registered_model})
        for each in found:  # the sums count what isn't logged as missing
            each.missing = (each.missing or 0) - each.rows * (len(contract.features) - logged)
    for each in found:
        if each.missing is not None:
            each.missing = max(0.0, each.missing / (each.rows * logged)) if logged else None
    return found


def _read_hours(connection: Connection[Any], values: Mapping[str, Any]) -> list[Traffic]:
    found: dict[datetime, Traffic] = {}
    for at, name, rows, outside, missing in connection.execute(_HOURS, values):
        known = found.setdefault(at, Traffic(at=at))
        known.classes[name] = rows
        known.outside += outside
        known.missing = (known.missing or 0.0) + missing
    return list(found.values())


def _read_windows(connection: Connection[Any], values: Mapping[str, Any]) -> list[Traffic]:
    found: dict[datetime, Traffic] = {}
    for at, classes, outside, missing in connection.execute(_WINDOWS, values):
        known = found.setdefault(at, Traffic(at=at))
        for name, rows in classes.items():
            known.classes[name] = known.classes.get(name, 0) + rows
        known.outside += outside
        known.missing = None if missing is None or known.missing is None else known.missing + missing
    return list(found.values())

"""Content of the page about the prediction log: sums over time, the latest predictions, and one with its lineage."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import class_row
from pydantic import BaseModel

from contract.segments import LoggedContract
from penguins.errors import UserError
from penguins.monitoring import predictions
from penguins.monitoring.lineage import lineage
from penguins.monitoring.predictions import Filter, Logged

LATEST: Final = 50
HOURLY_DAYS: Final = 2
"""Longest time that is shown by hours, in days; a longer one is shown by days."""


class Sum(BaseModel):
    """Predictions of one class by one version within an hour or a day.

    Attributes:
        outside: those with a value outside the training range.
    """

    at: datetime
    version: str
    class_name: str
    rows: int
    outside: int


class Row(BaseModel):
    """A prediction in the table.

    Attributes:
        id: `id/row` of the request.
        probability: of the class.
        outside: number of features outside the training range.
    """

    id: str
    at: datetime
    version: str
    class_name: str
    probability: float
    outside: int
    latency_ms: float
    truth: str | None


class Details(Row):
    """A prediction with what the model saw, and where its version comes from.

    Attributes:
        values: by the names of the features; an empty text for one that is missing or wasn't logged.
    """

    values: Mapping[str, str]
    probabilities: Mapping[str, float]
    lineage: list[str]


class Log(BaseModel):
    """The log of a model."""

    model: str
    unit: str
    sums: list[Sum]
    latest: list[Row]


def log(connection: Connection[Any], model: str, days: int, only_outside: bool, choice: Mapping[str, str]) -> Log:
    """Read the sums of the last days and the latest predictions.

    Args:
        choice: `version` and `class_name` of the latest predictions; without them of all.
    """
    since, unit = datetime.now(UTC) - timedelta(days=days), "hour" if days <= HOURLY_DAYS else "day"
    wanted = Filter(model, choice.get("version"), choice.get("class_name"), since, only_outside=only_outside)
    known = predictions.contracts(connection)
    found = predictions.latest(connection, wanted, LATEST)
    rows = [Row(**_row(each, known[each.contract])) for each in found]
    return Log(model=model, unit=unit, sums=_sums(connection, model, since, unit), latest=rows)


def details(connection: Connection[Any], model: str, text: str) -> Details:
    """Read one prediction of a model, by its id or `id/row`.

    Raises:
        UserError: the text isn't an id, or the log has no such prediction of the model.
    """
    found = predictions.of_request(connection, text.strip(), 1)
    if not found or found[0].model != model:  # the user may not be allowed to look at another model
        raise UserError(
            f"The log has no prediction {text.strip()} of {model}. It may be on its way for some seconds; older than "
            "the retention, not sampled, or lost and counted."
        )
    (row,) = found
    contract = predictions.contracts(connection)[row.contract]
    return Details(
        **_row(row, contract),
        values=predictions.decode(contract, row.features),
        probabilities=dict(zip(contract.classes, row.probabilities, strict=True)),
        lineage=lineage(connection, row),
    )


def _sums(connection: Connection[Any], model: str, since: datetime, unit: str) -> list[Sum]:
    with connection.cursor(row_factory=class_row(Sum)) as cursor:
        return cursor.execute(
            """SELECT date_trunc(%(unit)s, hour, 'UTC') AS at, version, class AS class_name, sum(rows)::bigint AS rows,
                   sum(outside)::bigint AS outside
               FROM log.traffic WHERE model = %(model)s AND hour >= date_trunc(%(unit)s, %(since)s, 'UTC')
               GROUP BY 1, version, class ORDER BY 1, version, class""",
            {"unit": unit, "model": model, "since": since},
        ).fetchall()


def _row(row: Logged, contract: LoggedContract) -> dict[str, Any]:
    return {
        "id": f"{row.prediction_id}/{row.row_index}",
        "at": row.at,
        "version": row.version,
        "class_name": contract.classes[row.label],
        "probability": row.probabilities[row.label],
        "outside": row.outside,
        "latency_ms": row.latency_ms,
        "truth": row.truth,
    }

"""Content of the page about monitoring. It reads sums and verdicts only, never the rows of the prediction log.

So it is as quick with ten million predictions as with ten: what grows is the number of hours and of windows.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from psycopg import Connection
from psycopg.rows import class_row
from pydantic import BaseModel

from contract.schema import DataContract, dag_id_of
from penguins.errors import UserError
from penguins.monitoring.spans import latest_span
from penguins.settings import settings
from penguins.ui.accuracy import Judged, read_judged
from penguins.ui.shadow import Shadow, read_shadow
from penguins.ui.traffic import Traffic, read_traffic
from penguins.ui.trust import Trust, read_trust

WINDOWS: Final = 200
"""Windows to choose from, the latest ones."""

ALARMS: Final = 50
"""Alarms in the table, the latest ones."""

_ORIGIN: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_BUCKETS: Final = {1: _MINUTE, 24: _HOUR, 7 * 24: _HOUR, 30 * 24: 6 * _HOUR, 90 * 24: _DAY}
"""Length of what is summed up, by the hours that are shown."""

_DRIFTS: Final = """SELECT name, date_bin(%(bucket)s, window_start, %(origin)s) AS at, count(*) AS windows
    FROM monitoring.verdicts, jsonb_array_elements_text(features) AS name
    WHERE contract = %(contract)s AND window_start >= %(since)s GROUP BY 1, 2 ORDER BY 1, 2"""

_WINDOWS: Final = """SELECT window_start AS start, window_end AS "end", version, rows, verdict
    FROM monitoring.verdicts WHERE contract = %(contract)s AND window_start >= %(since)s AND rows > 0
    ORDER BY window_end DESC, rows DESC, version LIMIT %(limit)s"""

_RAISED: Final = """SELECT id, raised_at AS at, kind, version, window_start AS start, window_end AS "end", reason,
        run_id, emitted_at IS NOT NULL AS asked, outcome, made.to_version AS made
    FROM monitoring.alarms LEFT JOIN LATERAL (
        SELECT to_version FROM audit.promotions
        WHERE promotions.model = alarms.model AND dag_run_id = run_id ORDER BY promotions.id LIMIT 1
    ) AS made ON true
    WHERE contract = %(contract)s ORDER BY alarms.id DESC LIMIT %(limit)s"""

_WINDOW: Final = """SELECT window_start AS start, window_end AS "end", version, rows, verdict, features AS drifted,
        numbers, estimate, live, outside
    FROM monitoring.verdicts WHERE contract = %s AND window_start = %s AND window_end = %s AND version = %s"""


Row = TypeVar("Row", bound=BaseModel)


class Drift(BaseModel):
    """The number of windows within some time in which a feature drifted."""

    name: str
    at: datetime
    windows: int


class Window(BaseModel):
    """A window that was judged."""

    start: datetime
    end: datetime
    version: str
    rows: int
    verdict: str


class Details(Window):
    """A window with all its numbers, as the table of verdicts has them."""

    drifted: list[str]
    numbers: dict[str, Any]
    estimate: dict[str, Any]
    live: dict[str, Any]
    outside: int


class Alarm(BaseModel):
    """An alarm, and what became of it.

    Attributes:
        asked: whether it asked for a training.
        made: number of the version that the training made.
    """

    id: int
    at: datetime
    kind: str
    version: str
    start: datetime
    end: datetime
    reason: str
    asked: bool
    run_id: str | None
    outcome: str | None
    made: str | None


class Monitoring(BaseModel):
    """The page's data.

    Attributes:
        since: beginning of the first bucket.
        seconds: length of a bucket, of which there are `buckets`.
        links: address of the versions in MLflow, and of the training's runs in Airflow relative to the page.
    """

    model: str
    window: str
    floor: float | None
    trust: Trust
    since: datetime
    seconds: int
    buckets: int
    traffic: list[Traffic]
    judged: list[Judged]
    drifts: list[Drift]
    windows: list[Window]
    shadow: Shadow | None
    alarms: list[Alarm]
    links: dict[str, str]


def monitoring(connection: Connection[Any], contract: DataContract, hours: int) -> Monitoring:
    """Read what the page shows of the last hours: 1, or those of 1, 7, 30 or 90 days.

    Raises:
        UserError: the number of hours is another one.
    """
    if hours not in _BUCKETS:
        raise UserError(f"{hours} hours can't be shown. The page shows {', '.join(map(str, _BUCKETS))}.")
    now, bucket = datetime.now(UTC), max(_BUCKETS[hours], contract.monitoring.window_length)
    buckets = timedelta(hours=hours) // bucket + 1  # the last one has only begun
    since = latest_span(now, bucket).end - (buckets - 1) * bucket
    values = {"contract": contract.name, "since": since, "bucket": bucket, "origin": _ORIGIN}
    model = contract.training.registered_model
    return Monitoring(
        model=model,
        window=contract.monitoring.window,
        floor=contract.monitoring.accuracy_floor,
        trust=read_trust(connection, contract, now),
        since=since,
        seconds=int(bucket.total_seconds()),
        buckets=buckets,
        traffic=read_traffic(connection, contract, values),
        judged=read_judged(connection, values),
        drifts=_select(connection, Drift, _DRIFTS, values),
        windows=_select(connection, Window, _WINDOWS, values | {"limit": WINDOWS}),
        shadow=read_shadow(connection, contract),
        alarms=_select(connection, Alarm, _RAISED, values | {"limit": ALARMS}),
        links={
            "versions": f"{settings().mlflow_ui}/#/models/{model}/versions/",
            "runs": f"../dags/{dag_id_of(contract.name)}/runs/",
        },
    )


def window(connection: Connection[Any], contract: str, start: datetime, end: datetime, version: str) -> Details:
    """Read the numbers of one window.

    Raises:
        UserError: nobody has judged it.
    """
    with connection.cursor(row_factory=class_row(Details)) as cursor:
        found = cursor.execute(_WINDOW, [contract, start, end, version]).fetchone()
    if found is None:
        raise UserError(f"The window from {start:%Y-%m-%d %H:%M:%S %Z} was not judged for version {version}.")
    return found


def _select(connection: Connection[Any], kind: type[Row], query: str, values: dict[str, Any]) -> list[Row]:
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query.encode(), values).fetchall()

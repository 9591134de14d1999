"""Alarms: reasons to train again, each raised once, and what became of them.

init-db/07-monitoring.sql makes the table. All that decides holds the lock of the contract, so that two monitoring runs
can't both ask for a training.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from psycopg import Connection
from psycopg.rows import class_row

from contract.schema import DataContract
from penguins.locks import exclusive_lock
from penguins.monitoring import verdicts
from penguins.monitoring.spans import Span

Kind = Literal["drift", "accuracy", "truth"]

_COLUMNS: Final = """id, contract, model, version, window_start, window_end, kind, reason, raised_at, emitted_at,
    run_id, outcome, closed_at"""

# Two windows of one time can't both be the first: whoever comes second finds the other's alarm.
_RAISE: Final = """INSERT INTO monitoring.alarms (contract, model, version, window_start, window_end, kind, reason)
    SELECT %(contract)s, %(model)s, %(version)s, %(start)s, %(end)s, %(kind)s, %(reason)s WHERE NOT EXISTS (
        SELECT FROM monitoring.alarms WHERE contract = %(contract)s AND kind = %(kind)s
            AND (version = %(version)s OR kind = 'truth')
            AND abs(extract(epoch FROM window_end - %(end)s)) < extract(epoch FROM %(cooldown)s::interval)
    ) ON CONFLICT (contract, window_start, window_end, kind) DO NOTHING"""

_CLOSE: Final = """UPDATE monitoring.alarms SET outcome = %s, closed_at = now()
    WHERE id = ANY(%s) AND outcome IS NULL"""

# The decision about the version that a run has made; a person may take days for it.
_DECIDED: Final = """SELECT DISTINCT ON (alarms.id) alarms.id, action, to_version, entries.reason
    FROM monitoring.alarms JOIN audit.promotions AS entries ON dag_run_id = run_id AND entries.model = alarms.model
    WHERE contract = %s AND outcome IS NULL AND action IN ('promote', 'refuse')
    ORDER BY alarms.id, entries.id"""

_UNDECIDED: Final = """run_id IS NOT NULL AND outcome IS NULL AND NOT EXISTS (
        SELECT FROM audit.promotions AS entries WHERE dag_run_id = run_id AND entries.model = alarms.model
    )"""

# A version may be in the shadow for weeks: while it is, other alarms may ask for a training.
_BEFORE: Final = f"""SELECT id, outcome IS NULL FROM monitoring.alarms
    WHERE contract = %s AND (
        emitted_at > now() - %s::interval OR outcome IS NULL AND emitted_at > now() - interval '1 day' OR {_UNDECIDED}
    ) ORDER BY emitted_at DESC LIMIT 1"""  # noqa: S608 (constants)

# Airflow starts no run for an event that came while the DAG was paused.
_GIVE_UP: Final = """UPDATE monitoring.alarms
    SET outcome = 'no training has begun within a day: is its DAG paused?', closed_at = now()
    WHERE contract = %s AND run_id IS NULL AND outcome IS NULL AND emitted_at < now() - interval '1 day'"""

# One that was given up may be followed still: the run has waited for another one to end.
_FOLLOW: Final = """UPDATE monitoring.alarms SET run_id = %s, outcome = NULL, closed_at = NULL
    WHERE contract = %s AND id = ANY(%s) AND run_id IS NULL AND emitted_at IS NOT NULL"""


@dataclass(frozen=True)
class Alarm:
    """An alarm. init-db/07-monitoring.sql explains the columns."""

    id: int
    contract: str
    model: str
    version: str
    window_start: datetime
    window_end: datetime
    kind: Kind
    reason: str
    raised_at: datetime
    emitted_at: datetime | None
    run_id: str | None
    outcome: str | None
    closed_at: datetime | None

    @property
    def is_asking(self) -> bool:
        """Return whether it asks for a training that hasn't begun."""
        return self.emitted_at is not None and self.run_id is None and self.outcome is None

    def __str__(self) -> str:
        return f"alarm {self.id}, {self.kind}: {self.reason}"


@dataclass(frozen=True)
class Reason:
    """A reason for an alarm about a version."""

    kind: Kind
    version: str
    text: str


class Raised(NamedTuple):
    """The alarms of a window: those that are new, and those that ask for a training."""

    new: list[Alarm]
    asking: list[Alarm]


def raise_alarms(
    connection: Connection[Any], contract: DataContract, span: Span, found: Sequence[Reason], is_backfill: bool = False
) -> Raised:
    """Raise the alarms of a window, and decide whether they ask for a training.

    The same alarm twice is one. After one of its kind about a version there is no other for the time of the cooldown,
    and none is raised about a window of the past: a later one tells whether it matters still.

    Args:
        is_backfill: whether the window is judged afterwards.
    """
    # All or nothing: no other run finds an alarm of which nothing was decided.
    with _lock(connection, contract), connection.transaction():
        before = {alarm.id for alarm in of_window(connection, contract.name, span)}
        is_past = is_backfill or not verdicts.is_latest(connection, contract.name, span)
        for reason in found if not is_past else ():
            values = {
                "contract": contract.name,
                "model": contract.training.registered_model,
                "version": reason.version,
                "start": span.start,
                "end": span.end,
                "kind": reason.kind,
                "reason": reason.text,
                "cooldown": contract.monitoring.cooldown_length,
            }
            connection.execute(_RAISE, values)
        mine = of_window(connection, contract.name, span)
        fresh = [alarm.id for alarm in mine if alarm.emitted_at is None and alarm.outcome is None]
        if fresh:
            if why := _reason_against(connection, contract):
                connection.execute(_CLOSE, [f"not trained: {why}", fresh])
            else:
                connection.execute("UPDATE monitoring.alarms SET emitted_at = now() WHERE id = ANY(%s)", [fresh])
        now = of_window(connection, contract.name, span)
        return Raised([alarm for alarm in now if alarm.id not in before], [alarm for alarm in now if alarm.is_asking])


def tell(connection: Connection[Any], contract: DataContract, send: Callable[[Alarm], bool]) -> None:
    """Tell people of the alarms of a contract that they weren't told of, at least once each, for some days.

    Args:
        send: tells of one, and returns whether nobody has to be told of it any more.
    """
    with exclusive_lock(connection, f"notices of {contract.name}"):
        query = f"""SELECT {_COLUMNS} FROM monitoring.alarms
            WHERE contract = %s AND told_at IS NULL AND raised_at > now() - interval '7 days' ORDER BY id"""  # noqa: S608 (constants)
        for alarm in _select(connection, query, [contract.name]):
            if send(alarm):  # the note comes after the notice: whoever dies between tells again
                connection.execute("UPDATE monitoring.alarms SET told_at = now() WHERE id = %s", [alarm.id])


def follow(connection: Connection[Any], contract: DataContract, ids: Sequence[int], run_id: str) -> list[Alarm]:
    """Note that a DAG run follows alarms; return those that no other run has followed."""
    with _lock(connection, contract):
        connection.execute(_FOLLOW, [run_id, contract.name, list(ids)])
        return of_run(connection, contract.name, run_id)


def settle(connection: Connection[Any], contract: DataContract, has_ended: Callable[[str], bool] | None = None) -> None:
    """Note what became of the alarms of a contract, as far as it is decided.

    Args:
        has_ended: tells by its id whether a training run is over; None if nobody knows.
    """
    for number, action, version, reason in connection.execute(_DECIDED, [contract.name]).fetchall():
        done = "promoted" if action == "promote" else "not promoted"
        connection.execute(_CLOSE, [f"version {version} was {done}: {reason}", [number]])
    connection.execute(_GIVE_UP, [contract.name])
    if has_ended is None:
        return
    # A version in the shadow is decided about later, by real traffic.
    query = f"SELECT {_COLUMNS} FROM monitoring.alarms WHERE contract = %s AND {_UNDECIDED}"  # noqa: S608 (constants)
    for alarm in _select(connection, query, [contract.name]):
        if alarm.run_id and has_ended(alarm.run_id):
            connection.execute(
                _CLOSE, [f"{alarm.run_id} ended without a decision: it failed, or asks a person", [alarm.id]]
            )


def describe(alarms: Sequence[Alarm]) -> str:
    """Return why a training that follows alarms was started; an empty text without any."""
    return f"trained for {' and '.join(map(str, alarms))}" if alarms else ""


def of_window(connection: Connection[Any], contract: str, span: Span) -> list[Alarm]:
    """Return the alarms of a window."""
    query = f"""SELECT {_COLUMNS} FROM monitoring.alarms
        WHERE contract = %s AND window_start = %s AND window_end = %s ORDER BY id"""  # noqa: S608 (constants)
    return _select(connection, query, [contract, *span])


def of_run(connection: Connection[Any], contract: str, run_id: str) -> list[Alarm]:
    """Return the alarms that a training run follows."""
    query = f"SELECT {_COLUMNS} FROM monitoring.alarms WHERE contract = %s AND run_id = %s ORDER BY id"  # noqa: S608
    return _select(connection, query, [contract, run_id])


def latest(connection: Connection[Any], contract: str, limit: int) -> list[Alarm]:
    """Return the alarms of a contract, the latest first."""
    query = f"SELECT {_COLUMNS} FROM monitoring.alarms WHERE contract = %s ORDER BY id DESC LIMIT %s"  # noqa: S608
    return _select(connection, query, [contract, limit])


def _reason_against(connection: Connection[Any], contract: DataContract) -> str:
    """Return why alarms ask for no training; an empty text if they do."""
    if not contract.monitoring.retrain:
        return "the contract doesn't want it (retrain: false)"
    if not contract.training.source:
        return "the contract names no source"
    row = connection.execute(_BEFORE, [contract.name, contract.monitoring.cooldown_length]).fetchone()
    if row is None:
        return ""
    number, is_open = row
    return f"alarm {number} asked for one, " + (
        "which hasn't ended" if is_open else f"and the cooldown is {contract.monitoring.cooldown}"
    )


def _lock(connection: Connection[Any], contract: DataContract) -> AbstractContextManager[None]:
    return exclusive_lock(connection, f"alarms of {contract.name}")


def _select(connection: Connection[Any], query: str, values: list[Any]) -> list[Alarm]:
    with connection.cursor(row_factory=class_row(Alarm)) as cursor:
        return cursor.execute(query.encode(), values).fetchall()

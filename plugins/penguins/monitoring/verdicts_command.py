"""`make verdicts`: show the latest verdicts on the model at work, and the alarms."""

import argparse
from datetime import UTC, datetime
from typing import Any, Final

from psycopg import Connection
from rich.console import Console
from rich.table import Table

from contract.schema import DataContract
from penguins.errors import UserError
from penguins.monitoring import alarms, verdicts
from penguins.monitoring.alarms import Alarm
from penguins.monitoring.verdicts import WindowVerdict
from penguins.promotion.reasons import to_plain_text

_SHOWN: Final = 20
_MOST: Final = 10_000
_SHOWN_ALARMS: Final = 10


def show(connection: Connection[Any], out: Console, contract: DataContract, arguments: argparse.Namespace) -> None:
    """Print the latest verdicts and alarms of a contract.

    Raises:
        UserError: the limit can't be used.
    """
    limit = arguments.limit or str(_SHOWN)
    if not limit.isdecimal() or not 0 < int(limit) <= _MOST:
        raise UserError(f"LIMIT={limit} isn't a number from 1 to {_MOST}.")
    found = verdicts.latest(connection, contract.name, int(limit))
    if not found:
        out.print(
            f"No window of {contract.name} was judged yet: the DAG {contract.name}_monitoring judges one every "
            f"{contract.monitoring.window}, once something is in Production.",
            soft_wrap=True,
        )
    else:
        out.print(_verdicts(found))
    alarms.settle(connection, contract)
    raised = alarms.latest(connection, contract.name, _SHOWN_ALARMS)
    if raised:
        out.print("", _alarms(raised), sep="\n")
    elif found:
        out.print("\nNo alarm was ever raised.")


def _verdicts(found: list[WindowVerdict]) -> Table:
    headings = ("window (UTC)", "version", "rows", "verdict", "estimated", "by the truth", "known", "drifted")
    table = Table(*headings, title="Verdicts", box=None)
    for verdict in found:
        estimate, live = verdict.estimate.get("accuracy"), verdict.live.get("accuracy")
        table.add_row(
            f"{_text(verdict.window_start)} to {_end(verdict)}",
            verdict.version,
            f"{verdict.rows:,}",
            verdict.verdict,
            _interval(estimate),
            _interval(live),
            f"{verdict.live['coverage']:.0%}" if live else "",
            to_plain_text(", ".join(verdict.features)),
        )
    return table


def _alarms(found: list[Alarm]) -> Table:
    table = Table("alarm", "raised (UTC)", "kind", "version", "reason", "what became of it", title="Alarms", box=None)
    for alarm in found:
        after = alarm.outcome or (f"{alarm.run_id} trains" if alarm.run_id else "a training was asked for")
        values = (str(alarm.id), _text(alarm.raised_at), alarm.kind, alarm.version, alarm.reason, after)
        table.add_row(*map(to_plain_text, values))
    return table


def _end(verdict: WindowVerdict) -> str:
    """Return the end of a window, with its date unless it is that of the beginning."""
    start, end = (time.astimezone(UTC) for time in verdict.span)
    return f"{end:%H:%M:%S}" if start.date() == end.date() else _text(end)


def _text(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _interval(found: dict[str, float] | None) -> str:
    return f"{found['value']:.1%} ({found['low']:.1%} to {found['high']:.1%})" if found else ""

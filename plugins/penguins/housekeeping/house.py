"""Keeping house: what is older than the settings say, and its deletion. Without a setting nothing is deleted."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any, Final

from psycopg import Connection
from rich.console import Console
from rich.table import Table

from contract.schema import DataContract
from penguins.errors import UserError
from penguins.housekeeping import airflow_history, files, named, runs, tracking_server
from penguins.housekeeping.airflow_history import Active
from penguins.settings import settings

log = logging.getLogger(__name__)

WITHOUT: Final = 90
"""Days by which a look counts what would go if there was a setting."""

_WIDTH: Final = 200  # characters of a line in a log


@dataclass(frozen=True)
class Finding:
    """A kind of things that are old.

    Attributes:
        setting: the variable that says for how many days they are kept.
        days: its value, 0 for ever.
        done: whether they are deleted now.
        text: how many there are, or were.
        stay: why others stay.
    """

    what: str
    setting: str
    days: int
    done: bool
    text: str
    stay: str = ""


def look_at_runs(
    connection: Connection[Any], contracts: Iterable[DataContract], active: Active, delete: bool
) -> list[Finding]:
    """Find, or delete, MLflow's runs that nothing needs, and files whose run or model is gone."""
    days = settings().run_retention_days
    before = datetime.now(UTC) - timedelta(days=days or WITHOUT)
    names, found = named.read(connection), []
    stay = []
    for experiment, models in runs.experiments(contracts).items():
        try:
            found.append(runs.plan(experiment, models, before, names, active.run_ids))
        except UserError as error:
            log.warning("passed over: %s", error)
            stay.append(f"all of {experiment}: {error}")
    before_ms = int(before.timestamp() * 1000)
    size = tracking_server.survey([run_id for plan in found for run_id in plan.run_ids], before_ms)
    number, dag_runs = sum(len(plan.run_ids) for plan in found), sum(len(plan.going) for plan in found)
    delete = delete and days > 0
    if delete:
        number = sum(runs.delete(connection, plan) for plan in found)
        tracking_server.sweep(before_ms)
    reasons = sum((plan.staying for plan in found), start=runs.NONE)
    stay = [*(f"{count} {reason}" for reason, count in reasons.most_common()), *stay]
    text = f"{number} runs of {dag_runs} DAG runs, {_megabytes(size.run_bytes)} with their models"
    orphans = f"{size.orphans} folders, {_megabytes(size.orphan_bytes)}"
    return [
        Finding(
            "runs in MLflow that nothing names", "PENGUINS_RUN_RETENTION_DAYS", days, delete, text, "; ".join(stay)
        ),
        Finding("files whose run or model is gone", "PENGUINS_RUN_RETENTION_DAYS", days, delete, orphans),
    ]


def look_at_history(active: Active, delete: bool) -> Finding:
    """Find, or delete, old DAG runs and tasks in Airflow's database."""
    days = settings().history_retention_days
    before = active.limit(datetime.now(UTC), days or WITHOUT)
    with airflow_history.connect() as connection:
        dag_runs, tasks = airflow_history.count(connection, before)
    delete = delete and days > 0
    if delete:
        airflow_history.clean(before)
    text = f"{dag_runs} DAG runs with {tasks} tasks"
    return Finding("Airflow's history", "PENGUINS_HISTORY_RETENTION_DAYS", days, delete, text, _held(before, days))


def look_at_logs(active: Active, delete: bool) -> Finding:
    """Find, or delete, old logs of Airflow's tasks."""
    days = settings().task_log_retention_days
    before = active.limit(datetime.now(UTC), days or WITHOUT)
    delete = delete and days > 0
    old = (files.prune if delete else files.measure)(files.task_logs(), before)
    text = f"{old.number} files, {_megabytes(old.bytes)}"
    return Finding(
        "logs of Airflow's tasks", "PENGUINS_TASK_LOG_RETENTION_DAYS", days, delete, text, _held(before, days)
    )


def table(findings: Sequence[Finding]) -> Table:
    """Return the findings as a table."""
    made = Table("what", "kept for", "", "", "why others stay", box=None)
    for each in findings:
        kept = f"{each.days} days" if each.days else f"ever: {each.setting} isn't set"
        older = "deleted" if each.done else "would go" if each.days else f"older than {WITHOUT} days"
        made.add_row(each.what, kept, older, each.text, each.stay)
    return made


def log_all(findings: Sequence[Finding]) -> Sequence[Finding]:
    """Write the findings into the log as a table, and return them."""
    out = Console(width=_WIDTH, file=StringIO(), markup=False, emoji=False)
    with out.capture() as text:
        out.print(table(findings))
    log.info("Keeping house\n%s", text.get())
    return findings


def _held(before: datetime, days: int) -> str:
    wanted = datetime.now(UTC) - timedelta(days=days or WITHOUT)
    if wanted - before < timedelta(minutes=1):
        return ""
    return f"from {before:%Y-%m-%d %H:%M} UTC on, when a DAG run began that hasn't ended"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"

"""Airflow's history: DAG runs that haven't ended, and the deletion of old ones by Airflow's own command.

The code of a task can't use Airflow's database otherwise: Airflow takes its address away.
"""

import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg import Connection

from penguins.errors import ServiceError, UserError
from penguins.settings import settings

log = logging.getLogger(__name__)

# Not `dag`: a DAG that wasn't parsed for long, as on a machine that was off, would lose its switch in the UI.
_TABLES: Final = (
    "dag_run,task_instance,task_instance_history,task_reschedule,task_state_store,xcom,trigger,callback,deadline,"
    "asset_event,partitioned_asset_key_log,dag_version,import_error,job,log,revoked_token,celery_taskmeta,celery_tasksetmeta"
)
_ACTIVE: Final = """
    SELECT dag_id, run_id, coalesce(start_date, queued_at, now()) FROM dag_run WHERE state IN ('queued', 'running')"""
# Airflow's command keeps the last run of each DAG that wasn't started by hand.
_OLD: Final = """
    SELECT count(DISTINCT dag_run.id), count(task_instance.id)
    FROM dag_run LEFT JOIN task_instance USING (dag_id, run_id)
    WHERE dag_run.start_date < %s AND dag_run.id NOT IN (
        SELECT DISTINCT ON (dag_id) id FROM dag_run WHERE run_type <> 'manual' ORDER BY dag_id, start_date DESC
    )"""
_BLOCKED: Final = ("_AIRFLOW_PROCESS_CONTEXT", "AIRFLOW__CORE__SQL_ALCHEMY_CONN")


@dataclass(frozen=True)
class Active:
    """DAG runs that haven't ended: their ids, and when the first of them has begun."""

    run_ids: frozenset[str]
    since: datetime | None

    def limit(self, now: datetime, days: int) -> datetime:
        """Return the time before which what is older may go: nothing since the beginning of a run that hasn't ended."""
        at = now - timedelta(days=days)
        return min(at, self.since) if self.since else at


def connect() -> Connection[Any]:
    """Open Airflow's database.

    Raises:
        UserError: its address isn't set.
    """
    return psycopg.connect(_address(), autocommit=True)


def active(connection: Connection[Any], apart_from: str = "") -> Active:
    """Return the DAG runs that haven't ended.

    Args:
        apart_from: a DAG whose runs don't count: the one that asks.
    """
    found = [row for row in connection.execute(_ACTIVE) if row[0] != apart_from]
    return Active(frozenset(run_id for _, run_id, _ in found), min((at for *_, at in found), default=None))


def count(connection: Connection[Any], before: datetime) -> tuple[int, int]:
    """Return the numbers of DAG runs and of their tasks that began before a time and may go."""
    (found,) = connection.execute(_OLD, [before]).fetchall()
    return int(found[0]), int(found[1])


def clean(before: datetime) -> None:
    """Delete what is from before a time, by `airflow db clean`, without an archive.

    Raises:
        ServiceError: it failed.
    """
    scheme, _, rest = _address().partition("://")
    variables = {name: value for name, value in os.environ.items() if name not in _BLOCKED}
    variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"{scheme}+psycopg2://{rest}"
    options = ("--clean-before-timestamp", before.isoformat(), "--tables", _TABLES)
    command = (sys.executable, "-P", "-m", "airflow", "db", "clean", "--yes", "--skip-archive", *options)
    done = subprocess.run(
        [*command, "--error-on-cleanup-failure"],
        env=variables,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    log.info("%s", done.stdout)
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise ServiceError(f"airflow db clean failed: {last}")


def _address() -> str:
    secret = settings().airflow_database
    if secret is None or not secret.get_secret_value():
        raise UserError("PENGUINS_AIRFLOW_DATABASE isn't set: only what runs Airflow's tasks has it.")
    return secret.get_secret_value()

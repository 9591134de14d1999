"""The DAG run of a task, and the state of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import DagRunState, get_current_context

if TYPE_CHECKING:
    from datetime import timedelta

    from penguins.data.runs import Run
    from penguins.monitoring.spans import Span


def current_run() -> Run:
    """Return the DAG run of this task."""
    from penguins.data.runs import Run  # imports psycopg, which parsing the DAG file doesn't need

    dag_run = get_current_context()["dag_run"]
    return Run(dag_run.run_id, dag_run.start_date or dag_run.run_after)


def is_active(run_id: str, dag_id: str | None = None) -> bool:
    """Tell whether a run of a DAG, by default this task's, exists and hasn't ended."""
    task = get_current_context()["ti"]
    states = [DagRunState.QUEUED.value, DagRunState.RUNNING.value]
    return task.get_dr_count(dag_id or task.dag_id, run_ids=[run_id], states=states) > 0


def current_span(length: timedelta) -> Span:
    """Return the window of this task: the one that its data interval ends with or, by hand, the last whole one."""
    from penguins.monitoring.spans import latest_span

    dag_run = get_current_context()["dag_run"]
    return latest_span(dag_run.data_interval_end or dag_run.run_after, length)


def is_backfill() -> bool:
    """Tell whether the DAG run of this task belongs to a backfill."""
    return bool(get_current_context()["dag_run"].run_type == "backfill")


def alarms_of_run() -> list[int] | None:
    """Return the numbers of the alarms that have started this DAG run; None if no asset event has."""
    events = get_current_context()["triggering_asset_events"]
    if not events:
        return None
    return [number for each in events.values() for event in each for number in event.extra.get("alarms", [])]

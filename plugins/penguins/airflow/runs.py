"""The DAG run of a task, and the state of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import DagRunState, get_current_context

if TYPE_CHECKING:
    from penguins.data.runs import Run


def current_run() -> Run:
    """Return the DAG run of this task."""
    from penguins.data.runs import Run  # imports psycopg, which parsing the DAG file doesn't need

    dag_run = get_current_context()["dag_run"]
    return Run(dag_run.run_id, dag_run.start_date or dag_run.run_after)


def is_active(run_id: str) -> bool:
    """Tell whether a run of this task's DAG exists and hasn't ended."""
    task = get_current_context()["ti"]
    states = [DagRunState.QUEUED.value, DagRunState.RUNNING.value]
    return task.get_dr_count(task.dag_id, run_ids=[run_id], states=states) > 0

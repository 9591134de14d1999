"""Gauges for Prometheus about Airflow itself: failed DAGs, and programs that have fallen silent."""

from collections.abc import Iterator
from typing import Final

from airflow.utils.session import create_session
from sqlalchemy import text

from penguins.monitoring.gauges import Sample, text_of

# The latest run by its number: clearing it again doesn't make another one. A DAG that was deleted isn't told of.
_RUNS: Final = text(
    """SELECT dag_id, state FROM dag_run JOIN dag USING (dag_id) WHERE NOT is_stale AND dag_run.id IN (
        SELECT max(id) FROM dag_run WHERE state IN ('success', 'failed') GROUP BY dag_id
    ) ORDER BY dag_id"""
)

_HEARTBEATS: Final = text("SELECT job_type, max(latest_heartbeat) FROM job GROUP BY job_type ORDER BY job_type")

_HELP: Final = {
    "dag_failed": "1 if the last run of the DAG that has ended failed.",
    "airflow_heartbeat_timestamp_seconds": "Time of the last sign of life of a program of Airflow.",
}


def exposition() -> str:
    """Return the gauges in Prometheus' text format, from Airflow's database."""
    return text_of("penguins", _HELP, _samples())


def _samples() -> Iterator[Sample]:
    with create_session() as session:
        for dag_id, state in session.execute(_RUNS):
            yield Sample("dag_failed", {"dag_id": dag_id}, float(state == "failed"))
        for program, at in session.execute(_HEARTBEATS):
            if at is not None:
                yield Sample("airflow_heartbeat_timestamp_seconds", {"program": program}, at.timestamp())

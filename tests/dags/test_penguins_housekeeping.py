"""The DAGs that keep house. tests/e2e runs them."""

import runpy
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.timetables.base import TimeRestriction

from local.settings import REPO


def dags() -> dict[str, Any]:
    found = runpy.run_path(str(REPO / "dags" / "penguins_housekeeping.py"))
    return {dag.dag_id: dag for dag in (found["keep_house"](), found["watch_disk"]())}


def test_a_run_by_hand_only_looks_by_default() -> None:
    dag = dags()["penguins_housekeeping"]
    assert dag.params["dry_run"] is True
    assert [task.task_id for task in dag.topological_sort()] == ["runs", "history", "logs"]
    assert "PENGUINS_RUN_RETENTION_DAYS" in dag.doc_md


def test_the_disk_is_measured_every_hour() -> None:
    dag = dags()["penguins_disk"]
    assert dag.task_ids == ["measure"]
    assert dag.doc_md.strip().startswith("### The use of the disk")
    assert (dag.catchup, dag.max_active_runs) == (False, 1)


@pytest.mark.parametrize("name", ["penguins_housekeeping", "penguins_disk"])
def test_the_start_of_a_stack_starts_no_run(name: str) -> None:
    timetable = decode_timetable(encode_timetable(dags()[name].timetable))
    restriction = TimeRestriction(None, None, False)
    first = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    assert first is not None
    assert first.run_after > datetime.now(UTC)

"""The DAGs that keep house. tests/e2e runs them."""

import runpy
from typing import Any

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

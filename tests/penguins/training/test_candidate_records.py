"""Records of candidates, in the real database."""

import re
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from penguins.training import candidate_records, candidate_runs
from penguins.training.candidate_records import Record

TAGS = {"dag_run_id": "manual__1", "split": "seed=42 holdout_share=0.2"}
METRICS = {"cv_accuracy_mean": 0.9, "cv_log_loss_mean": 0.1}


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    name = request.node.name
    return Record(name, "manual__1", "a", "finished", "a=1", {"a": "1"}, TAGS, METRICS, "a run", f"m-{name}")


def test_a_record_is_read_as_it_was_written(connection: Connection[Any], record: Record) -> None:
    candidate_records.append(connection, [record])
    assert candidate_records.read(connection, record.experiment_id, "manual__1") == [record]
    assert candidate_records.read(connection, record.experiment_id, "manual__2") == []
    assert candidate_records.find(connection, [str(record.model_id), "m-0"]) == {record.model_id: record}


def test_a_record_becomes_a_run_of_mlflow(record: Record) -> None:
    run = record.to_run()
    assert (run.info.run_id, run.info.run_name, run.info.experiment_id) == ("a run", "a=1", record.experiment_id)
    assert (run.data.params, run.data.tags, run.data.metrics) == ({"a": "1"}, TAGS, METRICS)
    assert candidate_runs.model_id(run) == record.model_id


def test_the_latest_result_of_a_candidate_counts(connection: Connection[Any], record: Record) -> None:
    left_out = replace(record, outcome="left out", run_id=None, model_id=None)
    other = replace(left_out, fingerprint="b")
    candidate_records.append(connection, [left_out, other, record])
    found = candidate_records.read(connection, record.experiment_id, "manual__1")
    assert [(each.fingerprint, each.outcome) for each in found] == [("a", "finished"), ("b", "left out")]
    candidate_records.discard_others(connection, record.experiment_id, "manual__1", ["b"])
    assert candidate_records.read(connection, record.experiment_id, "manual__1") == [other]


@pytest.mark.parametrize("table", ["candidates", "verdicts", "settled"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET at = now()", "DELETE FROM {}", "TRUNCATE {}", "DROP TABLE {}"])
def test_the_role_that_writes_the_records_can_only_add_to_them(
    connection: Connection[Any], table: str, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=re.compile("permission denied|must be owner")):
        connection.execute(statement.format(f"audit.{table}"))  # type: ignore[call-overload]

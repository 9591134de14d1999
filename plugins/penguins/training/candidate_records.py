"""Records of candidates in PostgreSQL, which the best one is chosen by: append-only, see init-db/05-records.sql.

Everyone who reaches MLflow can change the metrics and tags of its runs, which are for display only.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal

from mlflow.entities import (
    LifecycleStage,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunData,
    RunInfo,
    RunOutputs,
    RunTag,
)
from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from penguins.training.tracking import SAMPLE

Connect = Callable[[], AbstractContextManager[Connection[Any]]]
Outcome = Literal["finished", "failed", "left out", "discarded"]


@dataclass(frozen=True)
class Record:
    """The result of one candidate. init-db/05-records.sql explains the columns.

    Attributes:
        params: hyperparameters as JSON, by name.
    """

    experiment_id: str
    dag_run_id: str
    fingerprint: str
    outcome: Outcome
    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float] = field(default_factory=dict)
    run_id: str | None = None
    model_id: str | None = None

    def to_run(self) -> Run:
        """Return the run of a finished candidate as it was recorded, with MLflow's type."""
        info = RunInfo(
            run_id=self.run_id or "",
            run_name=self.name,
            experiment_id=self.experiment_id,
            user_id="",
            status="FINISHED",
            start_time=0,
            end_time=0,
            lifecycle_stage=LifecycleStage.ACTIVE,
        )
        data = RunData(
            metrics=[Metric(key, value, 0, 0) for key, value in self.metrics.items()],
            params=[Param(key, value) for key, value in self.params.items()],
            tags=[RunTag(key, value) for key, value in self.tags.items()],
        )
        outputs = [LoggedModelOutput(self.model_id, step=0)] if self.model_id else []
        return Run(info, data, run_outputs=RunOutputs(outputs))


_NAMES: Final = [each.name for each in fields(Record)]
_COLUMNS: Final = ", ".join(_NAMES)


def append(connection: Connection[Any], records: Iterable[Record]) -> None:
    """Add results; of each candidate the latest counts."""
    rows = [
        [Jsonb(dict(value)) if isinstance(value, Mapping) else value for value in (getattr(each, n) for n in _NAMES)]
        for each in records
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO audit.candidates ({_COLUMNS}) VALUES ({', '.join(['%s'] * len(_NAMES))})",  # noqa: S608
            rows,
        )


def read(connection: Connection[Any], experiment_id: str, dag_run_id: str) -> list[Record]:
    """Return the latest result of each candidate of a DAG run, without those that were discarded."""
    with connection.cursor(row_factory=class_row(Record)) as cursor:
        cursor.execute(
            f"""SELECT DISTINCT ON (fingerprint) {_COLUMNS} FROM audit.candidates
                WHERE experiment_id = %s AND dag_run_id = %s ORDER BY fingerprint, id DESC""",  # noqa: S608 (constants)
            [experiment_id, dag_run_id],
        )
        return [record for record in cursor if record.outcome != "discarded"]


def find(connection: Connection[Any], model_ids: Iterable[str]) -> dict[str, Record]:
    """Return the records of logged models, by their ids; a model that isn't a candidate's has none."""
    with connection.cursor(row_factory=class_row(Record)) as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM audit.candidates WHERE model_id = ANY(%s)",  # noqa: S608 (constants)
            [list(model_ids)],
        )
        return {record.model_id: record for record in cursor if record.model_id}


def discard_others(connection: Connection[Any], experiment_id: str, dag_run_id: str, expected: Iterable[str]) -> None:
    """Discard the results of a DAG run that have other fingerprints than these: of other data, parameters or code."""
    stale = {record.fingerprint: record for record in read(connection, experiment_id, dag_run_id)}
    for fingerprint in expected:
        stale.pop(fingerprint, None)
    append(connection, [replace(each, outcome="discarded", run_id=None, model_id=None) for each in stale.values()])


def describe_judging(records: Iterable[Record], expected: int) -> str:
    """Describe, for a verdict, how many candidates of a DAG run weren't tried, and the sample that they were judged on.

    It is empty if all were tried on all rows.

    Args:
        expected: number of candidates of the grid.
    """
    records = list(records)
    outcomes = [record.outcome for record in records]
    left_out, missing = outcomes.count("left out"), expected - len(outcomes)
    notes = [f"{left_out} candidates were left out for the time budget"] if left_out else []
    if missing > 0:
        notes.append(f"{missing} of {expected} candidates are missing: grid_train didn't end by itself")
    samples = {record.tags[SAMPLE] for record in records if SAMPLE in record.tags}
    notes += [f"candidates were judged on a sample of {each} training rows" for each in samples]
    return f" ({'; '.join(notes)})" if notes else ""

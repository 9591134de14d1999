"""Fixtures for the prediction log: rows that the shipper has brought in."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import numpy as np
import psycopg
import pytest
from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from contract.lines import Truth
from contract.rows import RowFormat
from contract.segments import END, READY, LoggedContract, SegmentName, encode_block, encode_header
from local.stack import Stack
from penguins.data.dataset import Dataset
from penguins.registry import candidate_versions
from penguins.registry.candidate_versions import LoadedCandidate
from penguins.training.model_contracts import describe_contract
from penguins.training.tracking import client
from shipper.database import Database, connect
from tests.local.test_init_db import connect_as_superuser
from tests.penguins import ours
from tests.penguins.conftest import logged_candidate
from tests.serving.log.conftest import spool, start
from tests.shipper.conftest import TABLES
from tests.shipper.segments import NOW, header, ids_at, lines, put

__all__ = ["spool", "start"]

Ship = Callable[[SegmentName], None]
Say = Callable[[Sequence[UUID], Sequence[str]], None]


def superuser(stack: Stack) -> Connection[Any]:
    """Open a superuser's session in the pipeline's database."""
    return connect_as_superuser(stack, "penguins")


@pytest.fixture
def log(stack: Stack) -> Iterator[Connection[Any]]:
    """The pipeline's session, on an empty log without views."""
    with superuser(stack) as connection:
        connection.execute(
            f"TRUNCATE {TABLES}, log.watermarks, monitoring.verdicts, monitoring.alarms, monitoring.shadow,"
            " monitoring.backups"
        )
    with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as opened:
        views = opened.execute("SELECT relname FROM pg_class WHERE relkind = 'v' AND relname LIKE 'wine%'").fetchall()
        for (name,) in views:
            opened.execute(f"DROP VIEW {name}")
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of segments."""
    return tmp_path


@pytest.fixture
def ship(stack: Stack, folder: Path) -> Ship:
    """Bring in a segment."""

    def bring(name: SegmentName) -> None:
        address = stack.config.database_url("shipper")
        with connect(address) as connection, (folder / READY / str(name)).open("rb") as file:
            assert Database(connection).ship(name, file, lambda: None) is not None

    return bring


class Answer(Protocol):
    """Brings answers of the version to rows into the log, and returns the ids of their requests."""

    def __call__(self, rows: np.ndarray, hours: float = 0, labels: Sequence[int] = (), **changes: Any) -> list[UUID]:
        """Answer so many hours ago; `labels` are the predicted classes, by default the first one."""


@pytest.fixture
def version(mlflow: None, data: Dataset) -> ModelVersion:
    """A version with its reference, in Production."""
    del mlflow
    candidate = LoadedCandidate.load(logged_candidate(data, "manual__1"), ours.model())
    made = candidate_versions.register(candidate, data)
    client().set_registered_model_alias(made.name, "production", made.version)
    return made


@pytest.fixture
def answer(version: ModelVersion, data: Dataset, log: Connection[Any], folder: Path, ship: Ship) -> Answer:
    """Bring answers of the version to rows into the log."""
    del log
    contract = describe_contract(data)

    def bring(rows: np.ndarray, hours: float = 0, labels: Sequence[int] = (), **changes: Any) -> list[UUID]:
        at = NOW - timedelta(hours=hours)
        values = {"model": version.name, "version": version.version, "created_at": at} | changes
        head = header(LoggedContract.of(contract), contract.digest.hex(), **values)
        count = len(rows)
        ids = ids_at(at, count)
        payload = RowFormat(head).encode(
            ids=b"".join(each.bytes for each in ids),
            index=np.zeros(count, dtype=int),
            at=np.full(count, int(at.timestamp() * 1e6)),
            labels=np.array(labels or [0] * count),
            latency_ms=1.0,
            outside=np.zeros(count, dtype=int),
            features=rows,
            probabilities=np.tile(np.array([0.9, 0.06, 0.04]), (count, 1)),
        )
        ship(put(folder, "predictions", encode_header(head) + encode_block(payload) + END, at))
        return ids

    return bring


@pytest.fixture
def say(version: ModelVersion, folder: Path, ship: Ship) -> Say:
    """Bring the truth about requests into the log."""

    def bring(ids: Sequence[UUID], classes: Sequence[str]) -> None:
        said = [
            Truth.model_validate(
                {
                    "prediction_id": each,
                    "row_index": 0,
                    "class": name,
                    "at": NOW,
                    "who": "ada",
                    "received_at": NOW,
                    "model": version.name,
                }
            )
            for each, name in zip(ids, classes, strict=True)
        ]
        ship(lines(folder, "feedback", said))

    return bring

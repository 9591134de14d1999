"""A backup that is made while a training writes."""

import re
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from backup.unpacking import Unpacked, unpack
from local import backups, postgres
from local.stack import Stack
from local.starting import quiet
from local.waiting import until
from penguins.data.dataset import Dataset
from penguins.training.candidate_records import Connect
from penguins.training.training import grid_train, open_run
from tests.penguins.conftest import GRID

pytestmark = pytest.mark.usefixtures("mlflow")

RUN = "backed up"
FINISHED = "SELECT count(*) FROM audit.candidates WHERE outcome = 'finished' AND dag_run_id LIKE 'backed up %'"
READY = "2"  # of MLflow's LoggedModelStatus


def dumped(unpacked: Unpacked, table: str) -> list[dict[str, str]]:
    """Return the rows of one of MLflow's tables."""
    dump = str(unpacked.path("databases/mlflow.dump"))
    command = (str(postgres.BIN / "pg_restore"), "--data-only", f"--table={table}", "--file=-", dump)
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(rf"^COPY public\.{table} \((.*?)\) FROM stdin;\n(.*?)^\\\.$", text, re.MULTILINE | re.DOTALL)
    assert found
    return rows(found[1].split(", "), found[2])


def rows(columns: list[str], text: str) -> list[dict[str, str]]:
    """Return rows in the text format of COPY; nothing that is looked at here is escaped in it."""
    return [dict(zip(columns, line.split("\t"), strict=True)) for line in text.splitlines()]


def test_all_that_the_databases_name_is_in_a_backup_of_a_training(
    data: Dataset, connect: Connect, connection: Connection[Any], stack: Stack, tmp_path: Path
) -> None:
    is_backed_up = threading.Event()

    def finished() -> int:
        ((count,),) = connection.execute(FINISHED).fetchall()
        return int(count)

    def train() -> None:
        number = 0
        while not is_backed_up.is_set():
            name = f"{RUN} {number}"
            grid_train(data, GRID, 2, open_run(data, GRID, 2, name, connect=connect), connect=connect)
            number += 1

    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(train)
        try:
            until(lambda: finished() or training.done(), "the first candidate")
            archive = backups.back_up(stack, tmp_path / "backups", with_keys=False, report=quiet)
        finally:
            is_backed_up.set()
        training.result()
    (tmp_path / "unpacked").mkdir()
    unpacked = unpack(archive, tmp_path / "unpacked")
    (table,) = (table for table in unpacked.manifest.tables if table.member == "tables/audit.candidates")
    records = rows(list(table.columns), unpacked.path(table.member).read_text())
    candidates = {row["model_id"] for row in records if row["dag_run_id"].startswith(RUN)}
    assert 0 < len(candidates) < finished()
    experiment = next(row["experiment_id"] for row in records if row["dag_run_id"].startswith(RUN))
    logged = [row for row in dumped(unpacked, "logged_models") if row["experiment_id"] == experiment]
    ready = {row["model_id"]: row["artifact_location"] for row in logged if row["status"] == READY}
    assert candidates <= ready.keys()
    files = {member.of for member in unpacked.manifest.below("objects")}
    assert {f"{place.removeprefix('mlflow-artifacts:/')}/MLmodel" for place in ready.values()} <= files

"""Settings, files and warnings of housekeeping. tests/e2e has Airflow's history, and the whole of it."""

import logging
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from pydantic import ValidationError

from local.stack import Stack
from penguins.commands import run_command
from penguins.housekeeping import airflow_history, disk, files
from penguins.housekeeping.airflow_history import Active
from penguins.housekeeping.disk import Room
from penguins.settings import Settings, settings
from tests.shipper.conftest import superuser

NOW = datetime(2026, 3, 10, tzinfo=UTC)
DAYS = ("PENGUINS_RUN_RETENTION_DAYS", "PENGUINS_HISTORY_RETENTION_DAYS", "PENGUINS_TASK_LOG_RETENTION_DAYS")


@pytest.fixture
def connection(stack: Stack) -> Iterator[Connection[Any]]:
    """The database `penguins`, in which the disk was never measured."""
    with superuser(stack) as opened:
        opened.execute("TRUNCATE monitoring.disk")
    with psycopg.connect(stack.environment["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as opened:
        yield opened


@pytest.mark.parametrize("name", DAYS)
@pytest.mark.parametrize(("value", "days"), [("", 0), ("0", 0), ("30", 30)])
def test_without_days_everything_is_kept(monkeypatch: pytest.MonkeyPatch, name: str, value: str, days: int) -> None:
    monkeypatch.setenv(name, value)
    assert getattr(Settings(), name.removeprefix("PENGUINS_").lower()) == days


@pytest.mark.parametrize("name", [*DAYS, "PENGUINS_DISK_FREE_PERCENT"])
@pytest.mark.parametrize("value", ["-1", "soon", "1e9", "36501", "nan"])
def test_days_that_cant_be_used_are_refused_with_their_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=name.removeprefix("PENGUINS_").lower()):
        Settings()


def test_a_command_names_a_setting_that_cant_be_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(DAYS[0], "soon")
    assert run_command(lambda: print(Settings())) == 1
    logging.disable(logging.NOTSET)
    assert capsys.readouterr().err.startswith(f"{DAYS[0]}=soon: Input should be a valid integer")


def test_nothing_goes_that_began_since_a_run_that_hasnt_ended() -> None:
    assert Active(frozenset(), None).limit(NOW, 3) == NOW - timedelta(days=3)
    assert Active(frozenset(), NOW - timedelta(days=5)).limit(NOW, 3) == NOW - timedelta(days=5)
    assert Active(frozenset(), NOW - timedelta(days=1)).limit(NOW, 3) == NOW - timedelta(days=3)


def test_airflow_says_which_dag_runs_havent_ended(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENGUINS_AIRFLOW_DATABASE", stack.config.database_url("airflow"))
    settings.cache_clear()
    with airflow_history.connect() as airflow:
        assert airflow_history.active(airflow) == Active(frozenset(), None)
        assert airflow_history.count(airflow, NOW) == (0, 0)
    settings.cache_clear()


def test_old_files_go_with_the_folders_that_they_leave_empty(tmp_path: Path) -> None:
    old, young, elsewhere = tmp_path / "a" / "b" / "old.log", tmp_path / "c" / "young.log", tmp_path.parent / "target"
    new_folder = tmp_path / "new"
    elsewhere.mkdir()
    (elsewhere / "kept.log").write_text("kept")
    for path in (old, young):
        path.parent.mkdir(parents=True)
        path.write_text("12345")
    new_folder.mkdir()
    (tmp_path / "link").symlink_to(elsewhere)
    at = (NOW - timedelta(days=9)).timestamp()
    os.utime(young.with_name("young.log"))
    for path in (old, old.parent, old.parent.parent, young.parent, elsewhere / "kept.log"):
        os.utime(path, (at, at))
    before = NOW - timedelta(days=8)
    assert files.measure(tmp_path, before) == files.Files(1, 5)
    assert files.prune(tmp_path, before) == files.Files(1, 5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "link", "new"]
    assert young.exists()
    assert (elsewhere / "kept.log").exists()
    assert files.prune(tmp_path, before) == files.Files(0, 0)
    assert files.measure(tmp_path / "missing") == files.Files(0, 0)


def room(monkeypatch: pytest.MonkeyPatch, percent: int) -> None:
    """Let the disk have that much free."""
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: SimpleNamespace(free=percent * 10**9, used=(100 - percent) * 10**9)
    )


@pytest.mark.usefixtures("mlflow")
def test_people_are_warned_once_and_again_after_a_day_or_a_recovery(
    connection: Connection[Any], stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("PENGUINS_API_URL", "http://127.0.0.1:1")

    def measure(percent: int) -> bool:
        room(monkeypatch, percent)
        found = disk.record(connection)
        told = disk.is_to_be_told(connection, found)
        if told:
            disk.note_told(connection)
        return told

    def wait_a_day() -> None:
        with superuser(stack) as opened:
            opened.execute(
                "UPDATE monitoring.disk SET at = at - interval '1 day', told_at = told_at - interval '1 day'"
            )

    assert [measure(percent) for percent in (50, 10, 9, 8)] == [False, False, True, False]
    wait_a_day()
    assert [measure(percent) for percent in (7, 7)] == [True, False]
    assert [measure(percent) for percent in (20, 5, 4)] == [False, True, False]
    assert str(Room.now()) == "4.0 GB of 100.0 GB are free (4%)"
    monkeypatch.setenv("PENGUINS_DISK_FREE_PERCENT", "0")
    settings.cache_clear()
    assert not Room.now().is_low
    latest = disk.latest(connection)
    assert latest is not None
    assert {"database airflow", "database mlflow", "database penguins"} < set(latest.parts)
    assert "models and files in S3" in latest.parts
    assert "prediction log, waiting" not in latest.parts  # the service is down
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    settings.cache_clear()
    disk.record(connection)
    latest = disk.latest(connection)
    assert latest is not None
    assert "models and files in S3" not in latest.parts


def test_a_failed_warning_is_told_the_next_time(
    connection: Connection[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mlflow: None
) -> None:
    del mlflow
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    room(monkeypatch, 5)
    for _ in range(2):
        assert disk.is_to_be_told(connection, disk.record(connection))


def test_the_role_penguins_can_only_add_measurements(connection: Connection[Any]) -> None:
    for statement in ("DELETE FROM monitoring.disk", "UPDATE monitoring.disk SET free = 1", "TRUNCATE monitoring.disk"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)

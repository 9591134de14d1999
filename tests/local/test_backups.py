"""Backup and restore of PostgreSQL and S3, good days and bad ones."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import psutil
import psycopg
import pytest

from backup.archive import Writer
from backup.errors import BackupError
from backup.files import writing
from backup.manifest import Header, Manifest
from backup.unpacking import unpack
from local import backups
from local.environment import BUCKET
from local.errors import StackError
from local.settings import REPO, Settings
from local.stack import Stack
from local.starting import quiet
from local.waiting import until
from tests.commands import call
from tests.shipper.conftest import superuser
from tests.shipper.segments import predictions

OLD = datetime(2026, 1, 31, 23, 59, 59, 123456, tzinfo=UTC)
MEGABYTE = 1024 * 1024
OBJECTS = {
    "1/models/m-1/artifacts/model.pkl": b"\x80pickle",
    "1/large.bin": bytes(range(256)) * 40_000,
    "1/random.bin": os.urandom(8_000_000),
    "1/empty": b"",
    "2/odd name/ü'.json": b"{}",
}
PROMOTION = """INSERT INTO audit.promotions (model, who, action, to_version, reason, numbers)
    VALUES (%s, %s, %s, %s, %s, %s)"""
EVENT = """INSERT INTO log.events (at, host, model, version, event, reason, detail, origin)
    VALUES (%s, 'here', 'wine', '7', 'swapped', '', '', 'registry')"""
PREDICTION = """INSERT INTO log.predictions (prediction_id, row_index, at, contract, model, version, class, latency_ms,
    outside, fraction, features, probabilities)
    VALUES (%s, 0, %s, '\\x00ff', 'wine', '1', 1, 0.1, 0, 1, '{NaN,1.5e-30}', '{0.1,0.9}')"""
COMMENT = "COMMENT ON TABLE public.wine_raw IS '" + "x" * 200 + "';"

TABLES = ("audit.promotions", "audit.settled", "log.predictions", "log.events", "monitoring.alarms", "log.watermarks")


class Taken(NamedTuple):
    """A backup, its stack's credentials, and what was in it."""

    archive: Path
    credentials: Path
    rows: dict[str, Any]


def bucket(stack: Stack) -> Any:
    credentials = stack.config.credentials
    keys = {"aws_access_key_id": credentials.s3_access_key, "aws_secret_access_key": credentials.s3_secret_key}
    return boto3.resource("s3", endpoint_url=stack.urls["s3"], region_name="us-east-1", **keys).Bucket(BUCKET)


DAYS = """SELECT count(*) FROM ONLY log.predictions_20260131
    UNION ALL SELECT count(*) FROM ONLY log.predictions_elsewhere"""
RELATIONS = """SELECT relname, relkind, relowner::regrole::text FROM pg_class
    WHERE relnamespace = 'public'::regnamespace ORDER BY 1"""


def rows_of(stack: Stack) -> dict[str, Any]:
    with superuser(stack) as connection:
        found = {name: connection.execute(f"SELECT t::text FROM {name} t ORDER BY 1").fetchall() for name in TABLES}  # noqa: S608
        found["wine"] = connection.execute("SELECT * FROM public.wine_raw").fetchall()
        found["days"] = connection.execute(DAYS).fetchall()
    for role in ("airflow", "mlflow"):
        with psycopg.connect(stack.config.database_url(role)) as connection:
            found[role] = connection.execute(RELATIONS).fetchall()
            found[f"{role}'s"] = connection.execute("SELECT * FROM runs ORDER BY id").fetchall()
    return found


@pytest.fixture(scope="module", autouse=True)
def contracts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("contracts")
    shutil.copy(REPO / "contracts" / "penguins.yaml", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENGUINS_CONTRACTS_DIR", str(folder))
        yield folder


def fresh(folder: Path) -> Stack:
    """Return a stack of its own, whose databases are small."""
    return Stack(Settings.on_free_ports(folder / "state"))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with something of each kind."""
    with fresh(tmp_path_factory.mktemp("source")).running("init-db", "s3") as stack:
        for role in ("airflow", "mlflow"):
            with psycopg.connect(stack.config.database_url(role)) as connection:
                connection.execute("CREATE TABLE runs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text)")
                connection.execute("INSERT INTO runs (name) SELECT repeat('ü', n) FROM generate_series(1, 2000) AS n")
        with psycopg.connect(stack.config.database_url("penguins")) as connection:
            connection.execute("CREATE TABLE wine_raw AS SELECT 1 AS source_row, 'ü'::text AS name")
            connection.execute(COMMENT)
            for number in range(3):
                connection.execute(PROMOTION, ["wine", f"ada {number}\t\\N\n", "promote", str(number), "better", "{}"])
            connection.execute("INSERT INTO audit.settled (promotion) SELECT id FROM audit.promotions WHERE id <> 2")
        with superuser(stack) as connection:
            connection.execute("DELETE FROM audit.promotions WHERE to_version = '1'")
            connection.execute(
                "CREATE TABLE log.predictions_20260131 PARTITION OF log.predictions"
                " FOR VALUES FROM ('2026-01-31 00:00+00') TO ('2026-02-01 00:00+00')"
            )
            connection.execute(PREDICTION, ["0192d1f0-0000-7000-8000-000000000001", OLD])
            connection.execute(EVENT, [OLD])
        for key, content in OBJECTS.items():
            bucket(stack).put_object(Key=key, Body=content)
        (stack.config.layout.serving_models).write_text("wine\n")
        predictions(stack.config.layout.prediction_log)
        yield stack


@pytest.fixture(scope="module")
def taken(source: Stack, tmp_path_factory: pytest.TempPathFactory) -> Taken:
    folder = tmp_path_factory.mktemp("taken")
    archive = backups.back_up(source, folder, with_keys=True, report=quiet)
    assert [path.name for path in folder.iterdir()] == [archive.name]
    with psycopg.connect(source.config.database_url("penguins")) as connection:
        noted = connection.execute("SELECT bytes, with_keys FROM monitoring.backups").fetchall()
    assert noted == [(archive.stat().st_size, True)]
    return Taken(archive, source.config.layout.credentials, rows_of(source))


@pytest.fixture
def empty(tmp_path: Path) -> Settings:
    return Settings.on_free_ports(tmp_path / "new" / "state")


def restore(settings: Settings, archive: Path, keys: str = "") -> list[str]:
    return backups.restore(settings, archive, keys, quiet)


def changed(taken: Taken, folder: Path, name: str = "", change: Any = None, **header: Any) -> Path:
    """Return a copy of the archive whose member was changed, with right digests."""
    (folder / "unpacked").mkdir()
    found = unpack(taken.archive, folder / "unpacked")
    with writing(folder / "changed.tar.gz") as file:
        writer = Writer(file, Header.model_validate(found.header.model_dump() | header))
        for member in found.manifest.members[1:]:
            path = found.path(member.name)
            if member.name == name:
                before = path.read_bytes()
                path.write_bytes(change(before))
                assert path.read_bytes() != before
            if path.stat().st_size or member.size == 0:  # what became empty is left out
                with path.open("rb") as opened:
                    writer.add(member.name, opened, path.stat().st_size, member.of)
        manifest: Manifest = found.manifest
        writer.close(list(manifest.tables), list(manifest.days))
    shutil.rmtree(folder / "unpacked")
    return folder / "changed.tar.gz"


def nothing_left(settings: Settings) -> bool:
    parent = settings.state_dir.parent
    return not parent.exists() or not [*parent.iterdir()]


@pytest.mark.programs
def test_all_of_it_comes_back_although_the_ports_are_taken(taken, empty, contracts, source):
    (contracts / "wine.yaml").write_text("kept\n")
    (contracts / "penguins.yaml").write_text("mine\n")
    with socket.create_server(("127.0.0.1", empty.postgres_port)):
        told = restore(empty, taken.archive)
    try:
        assert (contracts / "penguins.yaml").read_text() == "mine\n"
        assert (contracts / "penguins.yaml.restored").read_bytes() == (REPO / "contracts/penguins.yaml").read_bytes()
    finally:
        (contracts / "penguins.yaml.restored").rename(contracts / "penguins.yaml")
        (contracts / "wine.yaml").unlink()
    assert "What happened later is lost" in told[0]
    assert "penguins.yaml.restored" in told[1]
    with Stack(empty).running("init-db", "s3") as stack:
        assert rows_of(stack) == taken.rows
        assert {item.key: item.get()["Body"].read() for item in bucket(stack).objects.all()} == OBJECTS
        with superuser(stack) as connection:
            ((roles,),) = connection.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'restore'").fetchall()
            assert roles == 0
        with psycopg.connect(stack.config.database_url("penguins")) as connection:
            connection.execute(PROMOTION, ["wine", "ada", "promote", "3", "better", "{}"])
            assert connection.execute("SELECT max(id) FROM audit.promotions").fetchall() == [(4,)]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("DELETE FROM audit.promotions")
    layout, old = stack.config.layout, source.config
    assert layout.serving_models.read_text() == "wine\n"
    ready = [path.name for path in (layout.prediction_log / "ready").iterdir()]
    assert ready == [path.name for path in (old.layout.prediction_log / "ready").iterdir()]
    assert stack.config.credentials.signing_key == old.credentials.signing_key
    assert stack.config.credentials.postgres_password != old.credentials.postgres_password
    assert layout.state.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in layout.state.parent.iterdir()] == ["state"]
    with pytest.raises(StackError, match="has the data of a stack, and a restore would replace it. `make clean`"):
        restore(empty, taken.archive)


@pytest.mark.programs
def test_a_stack_that_runs_is_not_restored_over(source, taken):
    settings = source.config.settings
    done = call(settings, "restore", "--from", str(taken.archive))
    assert (done.exit_code, done.stdout) == (1, "")
    assert "has the data of a stack that is running" in done.stderr
    assert source.is_running()


@pytest.mark.programs
def test_a_stack_that_is_down_is_backed_up_as_well(tmp_path):
    stack = fresh(tmp_path)
    with stack.running("init-db"):
        pass
    path = backups.back_up(stack, tmp_path / "backups", with_keys=False, report=quiet)
    assert not stack.is_running()
    (tmp_path / "unpacked").mkdir()
    assert not unpack(path, tmp_path / "unpacked").path("keys.json").exists()


HOSTILE = [
    (
        "COPY (SELECT 1) TO PROGRAM 'touch {folder}/touched';",
        "permission denied to COPY to or from an external program",
    ),
    ("CREATE ROLE hacker SUPERUSER LOGIN;", "permission denied to create role"),
    ("ALTER SYSTEM SET log_statement = 'all';", "permission denied|cannot run inside a transaction"),
    ("DELETE FROM audit.promotions;", "permission denied for table promotions"),
    ("\\! touch {folder}/touched", "syntax error at or near"),  # psql would run it
]


@pytest.mark.programs
@pytest.mark.parametrize(("hostile", "reason"), HOSTILE, ids=lambda value: value[:12])
def test_hostile_sql_in_a_dump_can_do_what_its_role_can(taken, empty, tmp_path, hostile, reason):
    statement = hostile.format(folder=os.fspath(tmp_path)).encode()
    assert len(statement) <= len(COMMENT)
    archive = changed(
        taken,
        tmp_path,
        "databases/penguins.dump",
        lambda dump: dump.replace(COMMENT.encode(), statement.ljust(len(COMMENT))),
    )
    with pytest.raises(BackupError, match=reason):
        restore(empty, archive)
    assert nothing_left(empty)
    assert not (tmp_path / "touched").exists()


@pytest.mark.programs
@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("tables/audit.promotions", lambda rows: rows + rows, "penguins can't be restored: duplicate key"),
        ("tables/audit.promotions", lambda rows: b"\\.\n" + rows, "has 0 rows, and its manifest says 2"),
        ("databases/mlflow.dump", lambda dump: dump[: len(dump) // 2], "the database mlflow can't be restored"),
        (
            "databases/mlflow.dump",
            lambda dump: dump[:11] + b"\1" + dump[12:],
            "mlflow.dump isn't a dump as a backup has",
        ),
    ],
    ids=["twice", "end", "half", "compressed"],
)
def test_rows_that_do_not_fit_are_refused(taken, empty, tmp_path, name, change, reason):
    with pytest.raises(BackupError, match=reason):
        restore(empty, changed(taken, tmp_path, name, change))
    assert nothing_left(empty)


@pytest.mark.programs
@pytest.mark.parametrize("name", ["mlflow", "penguins"])
def test_databases_of_newer_programs_are_refused(taken, empty, tmp_path, name):
    older = {"mlflow": "3.0", "apache-airflow": "3.0"}  # as in archives from before they had the project's version
    archive = changed(taken, tmp_path, programs=older | {name: "99.0"})
    with pytest.raises(BackupError, match=f"was made with {name} 99.0, and this is .* restore it with the version"):
        restore(empty, archive)
    assert nothing_left(empty)


@pytest.mark.programs
def test_keys_are_asked_for_if_they_are_missing(taken, empty, tmp_path):
    archive = changed(taken, tmp_path, "keys.json", lambda _: b"")
    with pytest.raises(BackupError, match="was made without keys, .* KEYS=path; or, if that is lost, KEYS=new"):
        restore(empty, archive)
    (tmp_path / "other.json").write_text('{"signing_key": "x"}')
    with pytest.raises(BackupError, match="other.json has no keys"):
        restore(empty, archive, str(tmp_path / "other.json"))
    with pytest.raises(FileNotFoundError):
        restore(empty, archive, str(tmp_path / "none.json"))
    assert nothing_left(empty)


def running(settings: Settings, *arguments: str, size: int = -1) -> "subprocess.Popen[str]":
    """Start a command, whose files can't become larger than a size."""
    limit = f"import resource as r; r.setrlimit(r.RLIMIT_FSIZE, ({size}, {size})); " if size >= 0 else ""
    code = f"import runpy, sys; {limit}sys.argv[0] = 'local'; runpy.run_module('local', run_name='__main__')"
    variables = os.environ | {"PENGUINS_STATE_DIR": str(settings.state_dir)}
    variables |= {name: str(port) for name, port in settings.ports.items()}
    command = (sys.executable, "-c", code, *arguments)
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=variables, cwd=REPO, text=True, **pipes)


@pytest.mark.programs
def test_a_full_disk_leaves_nothing(taken, source, empty, tmp_path):
    (tmp_path / "backups").mkdir()
    process = running(source.config.settings, "backup", "--to", str(tmp_path / "backups"), size=5_000_000)
    until(lambda: psutil.Process(process.pid).nice() == 19, "the backup to let others go first", 60, 0.01)
    _, error = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "Traceback" not in error
    assert "File too large" in error
    assert not [*(tmp_path / "backups").iterdir()]
    assert not (source.config.layout.prediction_log / ".backup").exists()

    # The first has no room for the databases, the second for the objects of the S3 server, which ends then.
    for size, part in ((12_000_000, "initdb failed"), (16 * MEGABYTE, "S3 at http")):
        process = running(empty, "restore", "--from", str(taken.archive), size=size)
        _, error = process.communicate(timeout=300)
        assert process.returncode == 1
        assert "Traceback" not in error
        assert part in error
        assert nothing_left(empty)


@pytest.mark.programs
def test_a_restore_that_is_ended_leaves_nothing_and_one_that_was_killed_is_begun_again(taken, empty, tmp_path):
    archive, keys = changed(taken, tmp_path, "keys.json", lambda _: b""), str(taken.credentials)
    beside = empty.state_dir.with_name(".state.restoring")
    for number, name in (
        (signal.SIGTERM, "unpacked/manifest.json"),
        (signal.SIGTERM, "state/supervisord.pid"),
        (signal.SIGKILL, "state/postgres/postgresql.conf"),  # in the middle of initdb
        (signal.SIGKILL, "state/supervisord.pid"),
    ):
        process = running(empty, "restore", "--from", str(archive), "--keys", keys)
        until((beside / name).exists, f"{name} to appear", 100, 0.01)
        if number == signal.SIGKILL:
            with pytest.raises(StackError, match="another restore into .* is under way"):
                restore(empty, archive, keys)
        process.send_signal(number)
        process.communicate(timeout=100)
        assert not empty.state_dir.exists()
        assert beside.exists() == (number == signal.SIGKILL)
    restore(empty, archive, keys)
    assert [path.name for path in empty.state_dir.parent.iterdir()] == ["state"]
    assert Stack(empty).config.credentials.signing_key in taken.credentials.read_text()


def test_mistakes_are_told_without_a_traceback(empty, tmp_path):
    (tmp_path / "letter.tar.gz").write_text("Dear Ada")
    for arguments, status, message in [
        (["backup"], 1, "there is nothing to back up: "),
        (["restore"], 1, "say from what: make restore FROM=backups/penguins-….tar.gz"),
        (["restore", "--from", str(tmp_path / "none.tar.gz")], 1, "No such file or directory"),
        (["restore", "--from", str(tmp_path / "letter.tar.gz")], 1, "is damaged, or no backup"),
        (["restore", "--from", str(tmp_path)], 1, "Is a directory"),
    ]:
        done = call(empty, *arguments)
        assert (done.exit_code, done.stdout) == (status, "")
        assert message in done.stderr
        assert isinstance(done.exception, SystemExit)  # another one would be a traceback
    assert nothing_left(empty)


@pytest.mark.programs
def test_a_stack_makes_backups_by_itself_if_that_is_wanted(tmp_path):
    plain = fresh(tmp_path)
    assert "backup" not in plain.programs
    changes = {"backup_hours": 1.0, "backup_keep": 2, "backup_dir": tmp_path / "backups"}
    (tmp_path / "backups").mkdir()
    for day in (1, 2, 3):
        (tmp_path / "backups" / f"penguins-2026010{day}T000000Z.tar.gz").touch()
    with Stack(plain.config.settings.model_copy(update=changes)).running("backup") as stack:
        assert stack.states()["backup"].alive

        def names() -> list[str]:
            return sorted(path.name for path in (tmp_path / "backups").iterdir())

        until(lambda: len(names()) == 2, "the first backup", 100)
        assert names()[0] == "penguins-20260103T000000Z.tar.gz"
        (tmp_path / "unpacked").mkdir()
        assert not unpack(tmp_path / "backups" / names()[1], tmp_path / "unpacked").path("keys.json").exists()

"""Backups of the embedded stack: made while it runs, or of a stopped one, and restored into an empty place."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psycopg
from packaging.version import Version
from pydantic import ValidationError

from backup.errors import BackupError
from backup.manifest import KEYS, Header, Keys
from backup.restoring import check, put, put_contracts
from backup.schedule import name_at
from backup.stack import Bucket, Login
from backup.stack import Stack as Source
from backup.taking import take
from backup.unpacking import Unpacked, read_header, unpack
from local import environment, postgres
from local.config import Config
from local.credentials import Credentials, write_private
from local.errors import StackError
from local.layout import Layout
from local.ports import LOOPBACK
from local.settings import REPO, Settings
from local.stack import Stack
from local.starting import Report

_PROGRAMS = ("apache-airflow", "mlflow")
_NEW_KEYS = "new"
_INITDB_SECONDS = 30.0


def source_of(config: Config) -> Source:
    """Return what a stack keeps, and where."""
    layout, credentials = config.layout, config.credentials
    databases = {
        role: _login(config, role, getattr(credentials, f"{role}_db_password"), role)
        for role in ("airflow", "mlflow", "penguins")
    }
    bucket = Bucket(config.urls["s3"], credentials.s3_access_key, credentials.s3_secret_key, environment.BUCKET)
    contracts = REPO / os.environ.get("PENGUINS_CONTRACTS_DIR", "contracts")
    return Source(databases, postgres.BIN, bucket, layout.prediction_log, layout.serving_models, contracts)


def _login(config: Config, role: str, password: str, database: str) -> Login:
    return Login(LOOPBACK, config.settings.postgres_port, role, password, database)


def back_up(stack: Stack, folder: Path, with_keys: bool, report: Report) -> Path:
    """Make a backup of a stack in a folder, and return its path; a stack that is down is started for it in part.

    Raises:
        BackupError, StackError: a part of the stack can't be read or started.
        OSError: the folder can't be written; nothing is left in it.
    """
    if not (stack.config.layout.postgres / "PG_VERSION").exists():
        raise StackError(f"there is nothing to back up: {stack.config.layout.state} has no databases")
    with nullcontext() if stack.is_running() else stack.running("postgres", "s3"):
        source = source_of(stack.config)
        header = _header(source.databases["penguins"])
        path = folder / name_at(header.at)
        take(source, path, header, _keys(stack.config.credentials) if with_keys else None, report)
        _note(source.databases["penguins"], header.at, path.stat().st_size, with_keys)
    return path


def _note(login: Login, at: datetime, size: int, with_keys: bool) -> None:
    """Let the metrics tell of a backup. The tables of a stack of an older version lack this one."""
    with suppress(psycopg.Error), login.connect() as connection:
        connection.execute(
            "INSERT INTO monitoring.backups (at, bytes, with_keys) VALUES (%s, %s, %s)", [at, size, with_keys]
        )


def _header(login: Login) -> Header:
    try:
        with login.connect() as connection:
            postgresql = connection.info.server_version
    except psycopg.OperationalError as error:
        raise StackError(f"PostgreSQL doesn't answer: {' '.join(str(error).split())}") from error
    commit = environment.git_commit()
    programs = {name: version(name) for name in _PROGRAMS}
    return Header(at=datetime.now(UTC), commit=commit, postgresql=postgresql, programs=programs)


def _keys(credentials: Credentials) -> Keys:
    return Keys(**{name: getattr(credentials, name) for name in Keys.model_fields})


def restore(settings: Settings, archive: Path, keys: str, report: Report) -> list[str]:
    """Restore a backup into a state directory that has nothing in it yet, and return what there is to tell.

    Everything is made beside the state directory, and put into its place at the end. `keys` is empty for those in the
    archive, the path of a file of credentials, or `new` for new ones.

    Raises:
        BackupError, StackError: it can't be restored; nothing was changed.
        OSError: a file can't be read or written; nothing was changed.
    """
    _refuse_data(settings)
    _check_versions(archive, read_header(archive))
    with _beside(settings.state_dir) as folder:
        report("archive", "running")
        (folder / "unpacked").mkdir(mode=0o700)
        unpacked = unpack(archive, folder / "unpacked")
        check(unpacked)
        report("archive", "ready")
        write_keys(folder / "state", unpacked, archive, keys)
        stack = Stack(Settings.on_free_ports(folder / "state"))
        try:
            stack.up("init-db", "s3", report=report)
            config = stack.config
            superuser = _login(config, "postgres", config.credentials.postgres_password, "penguins")
            put(unpacked, source_of(config), superuser, report)
        finally:
            stack.down()
        shutil.rmtree(config.layout.logs)
        os.sync()
        (folder / "state").rename(settings.state_dir)
        return _told(unpacked, keys) + _contracts(unpacked, source_of(config).contracts)


def _refuse_data(settings: Settings) -> None:
    state = settings.state_dir
    if not state.exists() or not any(state.iterdir()):
        if state.is_mount():
            raise StackError(f"{state} is a mount point: choose a directory in it with PENGUINS_STATE_DIR")
        return
    running = Layout(state).supervisor_conf.exists() and Stack(settings).is_running()
    raise StackError(
        f"{state} has the data of a stack{' that is running' if running else ''}, and a restore would replace it. "
        "`make clean` stops the stack and deletes its data; another directory can be chosen with PENGUINS_STATE_DIR"
    )


def _check_versions(archive: Path, header: Header) -> None:
    for name in _PROGRAMS:
        made, here = header.programs.get(name, "0"), version(name)
        if Version(made) > Version(here):
            raise BackupError(
                f"{archive} was made with {name} {made}, and this is {here}, which can't read newer databases: "
                "restore it with the version of the project that made it, or a newer one"
            )


@contextmanager
def _beside(state: Path) -> Iterator[Path]:
    """Make a directory beside the state directory, which is deleted at the end with all that runs in it."""
    folder = state.with_name(f".{state.name.removeprefix('.')}.restoring")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StackError(f"another restore into {state} is under way; wait for it") from error
        _clear(folder)  # left by one that was killed
        try:
            yield folder
        finally:
            _clear(folder)
            folder.rmdir()
    finally:
        os.close(lock)


def _clear(folder: Path) -> None:
    if (folder / "state").exists():
        Stack(Settings.on_free_ports(folder / "state")).down()
    for path in folder.iterdir():
        _remove(path)


def _remove(folder: Path) -> None:
    """Delete a folder, in which an initdb whose parent was killed may still write for some seconds."""
    deadline = time.monotonic() + _INITDB_SECONDS
    while folder.exists():
        try:
            shutil.rmtree(folder)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def write_keys(state: Path, unpacked: Unpacked, archive: Path, keys: str) -> None:
    """Write the keys of a new stack, which makes its passwords itself. Raises BackupError if there are none."""
    inside = unpacked.path(KEYS)
    try:
        if keys == _NEW_KEYS:
            found = _keys(Credentials())
        elif keys:
            found = _keys(Credentials.model_validate_json(Path(keys).read_text()))
        elif inside.exists():
            found = Keys.model_validate_json(inside.read_text())
        else:
            raise BackupError(
                f"{archive} was made without keys, and without them no service and no task opens its models. Give the "
                "file credentials.json of the stack that it comes from: KEYS=path; or, if that is lost, KEYS=new: then "
                "sign the versions again that you know (docs/how-to/signatures.md)"
            )
    except ValidationError as error:
        raise BackupError(f"{keys or KEYS} has no keys: {error.errors(include_input=False)[0]['msg']}") from error
    Layout(state).create()
    write_private(Layout(state).credentials, Credentials(**found.model_dump()).model_dump_json(indent=2))


def _told(unpacked: Unpacked, keys: str) -> list[str]:
    lost = "What happened later is lost: predictions, truth, decisions and runs."
    told = [f"Restored as of {unpacked.header.at:%Y-%m-%d %H:%M:%S} UTC. {lost}"]
    if keys == _NEW_KEYS:
        told.append("The keys are new: versions are refused until they are signed again, with make sign VERSION=…")
    return told


def _contracts(unpacked: Unpacked, folder: Path) -> list[str]:
    try:
        new, beside = put_contracts(unpacked, folder)
    except OSError as error:
        return [f"Its contract files can't be written, and are in the archive: {error}"]
    told = [f"Contract files that are here again: {', '.join(new)}."] if new else []
    if beside:
        told.append(f"Contract files that differ from those here, and were written beside them: {', '.join(beside)}.")
    return told

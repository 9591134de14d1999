"""Backups of the embedded stack: made while it runs, or of a stopped one, and restored into an empty place."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from pydantic import ValidationError

from backup import keyfile
from backup.errors import BackupError
from backup.manifest import KEYS, Keys
from backup.restoring import check, check_versions, put
from backup.schedule import name_at
from backup.stack import Bucket, Login
from backup.stack import Stack as Source
from backup.taking import header, note, take
from backup.telling import NEW_KEYS, put_contracts, told, without_keys
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
from local.version import VERSION

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
        login = source.databases["penguins"]
        made = header(login, datetime.now(UTC), environment.git_commit(), _programs())
        path = folder / name_at(made.at)
        take(source, path, made, _keys(stack.config.credentials) if with_keys else None, report)
        note(login, made.at, path.stat().st_size, with_keys)
    return path


def _programs() -> dict[str, str]:
    return {"penguins": VERSION} | {name: version(name) for name in ("apache-airflow", "mlflow")}


def _keys(credentials: Credentials) -> Keys:
    return Keys(**{name: getattr(credentials, name) for name in Keys.model_fields})


def restore(settings: Settings, archive: Path, keys: str, report: Report) -> list[str]:
    """Restore a backup into a state directory that has nothing in it yet, and return what there is to tell.

    Everything is made beside the state directory, and put into its place at the end. `keys` is empty for those in the
    archive, the path of a `credentials.json` or `.env`, or `new` for new ones.

    Raises:
        BackupError, StackError: it can't be restored; nothing was changed.
        OSError: a file can't be read or written; nothing was changed.
    """
    _refuse_data(settings)
    check_versions(str(archive), read_header(archive), _programs())
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
        contracts = {Path(each.name).name: unpacked.path(each.name) for each in unpacked.manifest.below("contracts")}
        files = {name: path.read_bytes() for name, path in contracts.items()}
        return told(unpacked.header.at, keys) + put_contracts(files, source_of(config).contracts)


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
        if keys == NEW_KEYS:
            found = _keys(Credentials())
        elif keys:
            found = _keys(Credentials.model_validate(keyfile.read(Path(keys))))
        elif inside.exists():
            found = Keys.model_validate_json(inside.read_text())
        else:
            raise BackupError(without_keys(str(archive), "credentials.json (or .env, if it ran in containers)"))
    except ValidationError as error:
        raise BackupError(f"{keys or KEYS} has no keys: {error.errors(include_input=False)[0]['msg']}") from error
    Layout(state).create()
    write_private(Layout(state).credentials, Credentials(**found.model_dump()).model_dump_json(indent=2))

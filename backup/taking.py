"""Make a backup of a stack that runs, in an order in which nothing names what isn't there.

First the spool, then the databases, then the objects: docs/how-to/backup.md has the reasons.
"""

from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

import psycopg

from backup.archive import Writer
from backup.databases import dump
from backup.errors import BackupError
from backup.files import remove_partial, writing
from backup.manifest import KEYS, MODELS, Header, Keys, Table, largest
from backup.objects import Objects, counted
from backup.spool import held
from backup.stack import Login, Report, Stack
from backup.tables import copy_out, read_days, read_tables

_ATTEMPTS: Final = 3  # a run may replace a table just when it is to be dumped


class _Taking:
    def __init__(self, stack: Stack, folder: Path, header: Header, keys: Keys | None, report: Report) -> None:
        self._stack, self._folder, self._header, self._keys, self._report = stack, folder, header, keys, report

    def write(self, file: IO[bytes]) -> None:
        stack = self._stack
        with held(stack.spool) as segments:
            writer = Writer(file, self._header)
            self._dump(writer, stack.databases["airflow"])
            tables, days = self._penguins(writer, stack.databases["penguins"])
            self._dump(writer, stack.databases["mlflow"])
            self._objects(writer)
            for number, (place, path) in enumerate(segments.items()):
                _add_file(writer, f"spool/{number:08}", path, place)
        for path in sorted(stack.contracts.glob("*.yaml")):
            if largest(name := f"contracts/{path.name}"):
                _add_file(writer, name, path)
        if stack.models.exists():
            writer.add_text(MODELS, stack.models.read_text())
        if self._keys:
            writer.add_text(KEYS, self._keys.model_dump_json(indent=2))
        writer.close(tables, days)

    def _dump(self, writer: Writer, login: Login, snapshot: str = "") -> None:
        self._report(login.database, "running")
        with TemporaryFile(dir=self._folder) as file:
            dump(self._stack.programs, login, file, snapshot)
            size = file.seek(0, 2)
            file.seek(0)
            writer.add(f"databases/{login.database}.dump", file, size)
        self._report(login.database, "ready")

    def _penguins(self, writer: Writer, login: Login) -> tuple[list[Table], list[str]]:
        """Add the rows of all tables of one moment: those of the pipeline, the trail, the log and the verdicts."""
        self._report(login.database, "running")
        for attempt in range(_ATTEMPTS):
            with TemporaryFile(dir=self._folder) as file, closing(login.connect()) as connection:
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                ((snapshot,),) = connection.execute("SELECT pg_export_snapshot()").fetchall()
                try:
                    dump(self._stack.programs, login, file, snapshot)
                except BackupError:
                    if attempt == _ATTEMPTS - 1:
                        raise
                    continue
                size = file.seek(0, 2)
                file.seek(0)
                writer.add(f"databases/{login.database}.dump", file, size)
                tables = [self._copy(writer, connection, *each) for each in read_tables(connection)]
                days = read_days(connection)
                break
        self._report(login.database, "ready")
        return tables, days

    def _copy(
        self, writer: Writer, connection: "psycopg.Connection[object]", schema: str, name: str, columns: list[str]
    ) -> Table:
        with TemporaryFile(dir=self._folder) as file:
            table = copy_out(connection, schema, name, columns, file)
            size = file.tell()
            file.seek(0)
            writer.add(table.member, file, size)
        return table

    def _objects(self, writer: Writer) -> None:
        self._report("objects", "running")
        objects = Objects(self._stack.bucket)
        keys = objects.keys()
        fetched = counted(objects.fetch(keys, self._folder), len(keys), self._report)
        for number, (key, size, file) in enumerate(fetched):
            writer.add(f"objects/{number:08}", file, size, key)
        self._report("objects", "ready")


def take(stack: Stack, path: Path, header: Header, keys: Keys | None, report: Report) -> None:
    """Write a backup to a file that doesn't exist yet. Without keys, they aren't in it.

    Raises:
        BackupError: a part of the stack can't be read.
        OSError: the file can't be written; nothing is left of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_partial(path.parent)
    with writing(path) as file:
        write(stack, file, path.parent, header, keys, report)


def write(stack: Stack, file: IO[bytes], folder: Path, header: Header, keys: Keys | None, report: Report) -> None:
    """Write a backup to an open file. `folder` has room for the largest part of it.

    Raises:
        BackupError: a part of the stack can't be read.
        OSError: the file can't be written.
    """
    try:
        _Taking(stack, folder, header, keys, report).write(file)
    except psycopg.Error as error:
        raise BackupError(f"PostgreSQL: {' '.join(str(error).split())}") from error


def header(login: Login, at: datetime, commit: str, programs: Mapping[str, str]) -> Header:
    """Return what a backup says of itself. Raises BackupError if PostgreSQL doesn't answer."""
    try:
        with login.connect() as connection:
            postgresql = connection.info.server_version
    except psycopg.OperationalError as error:
        raise BackupError(f"PostgreSQL doesn't answer: {' '.join(str(error).split())}") from error
    return Header(at=at, commit=commit, postgresql=postgresql, programs=programs)


def note(login: Login, at: datetime, size: int, with_keys: bool) -> None:
    """Let the metrics tell of a backup. The tables of a stack of an older version lack this one."""
    with suppress(psycopg.Error), login.connect() as connection:
        connection.execute(
            "INSERT INTO monitoring.backups (at, bytes, with_keys) VALUES (%s, %s, %s)", [at, size, with_keys]
        )


def _add_file(writer: Writer, name: str, path: Path, of: str = "") -> None:
    with path.open("rb") as file:
        writer.add(name, file, path.stat().st_size, of)

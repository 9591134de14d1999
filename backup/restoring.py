"""Put an unpacked backup into a new stack, whose PostgreSQL has its roles and tables, and whose S3 has its bucket."""

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Final

import psycopg
from packaging.version import Version

from backup.databases import check as check_dump
from backup.databases import restore
from backup.errors import BackupError
from backup.manifest import MODELS, Header
from backup.objects import Objects, counted
from backup.spool import check_place, put_back
from backup.stack import Login, Report, Stack
from backup.tables import TablesOfSuperuser
from backup.unpacking import Unpacked

_DUMPS: Final = ("airflow", "mlflow", "penguins")


def check(unpacked: Unpacked) -> None:
    """Check what can be checked before anything runs. Raises BackupError."""
    manifest = unpacked.manifest
    names = {member.name for member in manifest.members}
    wanted = {f"databases/{name}.dump" for name in _DUMPS} | {table.member for table in manifest.tables}
    if missing := wanted - names:
        raise BackupError(f"the backup lacks {', '.join(sorted(missing))}: it can't be restored")
    if len({table.member for table in manifest.tables}) != len(manifest.tables):
        raise BackupError("the backup names a table twice: it can't be restored")
    if others := {member.name for member in manifest.below("tables")} - wanted:
        raise BackupError(f"the backup doesn't say what {', '.join(sorted(others))} has: it can't be restored")
    for name in _DUMPS:
        check_dump(unpacked.path(f"databases/{name}.dump"))
    for member in manifest.below("spool"):
        check_place(member.of)
    for folder in ("spool", "objects"):
        if len({member.of for member in manifest.below(folder)}) != len(manifest.below(folder)):
            raise BackupError(f"two members of {folder} have the same place: it can't be restored")


def check_versions(archive: str, header: Header, here: Mapping[str, str]) -> None:
    """Check that no program's database comes from a newer version than the one here. Raises BackupError."""
    for name, version in here.items():
        if Version(made := header.programs.get(name, "0")) > Version(version):
            raise BackupError(
                f"{archive} was made with {name} {made}, and this is {version}, which can't read newer databases: "
                "restore it with the version of the project that made it, or a newer one"
            )


def put(unpacked: Unpacked, stack: Stack, superuser: Login, report: Report) -> None:
    """Restore databases, objects and the prediction log's folder.

    Raises:
        BackupError: a part can't be restored.
        OSError: a file can't be written.
    """
    parts = {
        "penguins": lambda: _penguins(unpacked, stack, superuser),
        "mlflow": lambda: _dump(unpacked, stack, "mlflow"),
        "airflow": lambda: _dump(unpacked, stack, "airflow"),
        "objects": lambda: _objects(unpacked, stack, report),
    }
    pool = ThreadPoolExecutor(len(parts))
    try:
        done, _ = wait(
            [pool.submit(_reported, name, part, report) for name, part in parts.items()], return_when=FIRST_EXCEPTION
        )
        for future in done:
            future.result()
    finally:
        pool.shutdown(wait=False)  # after a failure, who called stops the servers, and with them the other parts
    for member in unpacked.manifest.below("spool"):
        put_back(stack.spool, member.of, unpacked.path(member.name))
    if (models := unpacked.path(MODELS)).exists():
        stack.models.write_bytes(models.read_bytes())


def _reported(name: str, part: Callable[[], None], report: Report) -> None:
    report(name, "running")
    try:
        part()
    except psycopg.Error as error:
        report(name, "failed")
        raise BackupError(f"{name} can't be restored: {' '.join(str(error).split())[:500]}") from error
    except BaseException:
        report(name, "failed")
        raise
    report(name, "ready")


def _dump(unpacked: Unpacked, stack: Stack, name: str) -> None:
    restore(stack.programs, stack.databases[name], unpacked.path(f"databases/{name}.dump"))


def _penguins(unpacked: Unpacked, stack: Stack, superuser: Login) -> None:
    manifest = unpacked.manifest
    with superuser.connect() as connection:
        tables = TablesOfSuperuser(connection, stack.databases["penguins"])
        tables.check(manifest.tables)
        tables.prepare(manifest.days)
        for table in sorted(manifest.tables, key=lambda table: table.member):
            with unpacked.path(table.member).open("rb") as file:
                tables.copy_in(table, file)
        tables.finish()
    # After it, because what it makes in the schema public must find no session of the superuser.
    _dump(unpacked, stack, "penguins")


def _objects(unpacked: Unpacked, stack: Stack, report: Report) -> None:
    members = unpacked.manifest.below("objects")
    uploaded = Objects(stack.bucket).upload((member.of, unpacked.path(member.name)) for member in members)
    for _ in counted(uploaded, len(members), report):
        pass

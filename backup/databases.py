"""Whole databases by pg_dump and pg_restore, each as the role that owns its tables."""

import re
import subprocess
from collections.abc import Sequence
from os import SEEK_END
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

import psycopg

from backup.errors import BackupError
from backup.stack import Login

# Tables of the superuser aren't dumped, but copied row by row: see `backup.tables`.
SUPERUSERS = ("audit", "log", "monitoring")
"""Schemas in the database penguins."""

_LONGEST: Final = 64 * 1024 * 1024
_PSQL: Final = re.compile(rb"^\\(?:un)?restrict \w+$", re.MULTILINE)
_COLUMN_OPTIONS: Final = re.compile(
    rb"^(ALTER TABLE ONLY [^;\n]+ ALTER COLUMN [^;\n]+ SET \()([^;\n)]*)\);$", re.MULTILINE
)


def dump(programs: Path, login: Login, file: IO[bytes], snapshot: str = "") -> None:
    """Dump what a role owns into a file. A snapshot is the name of one that a transaction has exported."""
    others = [f"--exclude-schema={schema}" for schema in SUPERUSERS] if login.database == "penguins" else []
    command = (
        str(programs / "pg_dump"),
        *("--format=custom", "--compress=0", "--no-owner", "--no-privileges", "--no-password"),
        "--lock-wait-timeout=60s",
        *([f"--snapshot={snapshot}"] if snapshot else []),
        *others,
    )
    _run(command, login, f"the database {login.database} can't be dumped", file)


def check(path: Path) -> None:
    """Check that a file begins as `dump` writes it: for pg_restore it could also be compressed, and have any size then.

    Raises BackupError.
    """
    with path.open("rb") as file:
        head = file.read(12)
    # Magic, version, two sizes, format, compression. Dumps before 1.15, of PostgreSQL 15 and older, have no such byte.
    if head[:5] != b"PGDMP" or head[5:7] < b"\x01\x0f" or head[10:] != b"\x01\x00":
        raise BackupError(f"{path.name} isn't a dump as a backup has it, without compression: it can't be restored")


def restore(programs: Path, login: Login, path: Path) -> None:
    """Restore a dump as the role: first what makes the tables, in one transaction, then the rest in another.

    The dump's SQL may be a stranger's: it can do what the role can.
    """
    trouble = f"the database {login.database} can't be restored"
    command = (str(programs / "pg_restore"), "--no-owner", "--no-privileges", "--no-password")
    with TemporaryFile(dir=path.parent) as file:
        _run((*command, "--clean", "--if-exists", "--section=pre-data", "--file=-", str(path)), login, trouble, file)
        if file.seek(0, SEEK_END) > _LONGEST:
            raise BackupError(f"{trouble}: what makes its tables has more than {_LONGEST:,} bytes")
        file.seek(0)
        statements = _for_any_server(file.read())
    try:
        with login.connect() as connection:
            connection.execute(statements)
    except psycopg.Error as error:
        raise BackupError(f"{trouble}: {str(error)[:1000]}") from error
    rest = ("--section=data", "--section=post-data", "--single-transaction", "--exit-on-error")
    _run((*command, *rest, f"--dbname={login.database}", str(path)), login, trouble)


def _for_any_server(script: bytes) -> bytes:
    """Return a script of pg_restore without commands of psql, and without what only some servers know.

    Debian's PostgreSQL 17.12 keeps a number of its own as option `pg_attver` of each column, which 18.6 refuses.
    """

    def known(found: re.Match[bytes]) -> bytes:
        options = [option for option in found[2].split(b", ") if not option.startswith(b"pg_attver=")]
        return b"%b%b);" % (found[1], b", ".join(options)) if options else b""

    return _COLUMN_OPTIONS.sub(known, _PSQL.sub(b"", script))


def _run(command: Sequence[str], login: Login, trouble: str, file: IO[bytes] | None = None) -> None:
    done = subprocess.run(
        command,
        env=login.variables(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if file is None else file,
        stderr=subprocess.PIPE,
    )
    if done.returncode != 0:
        # Parts of a dump may be in the message, also long ones after the error.
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        first = next((number for number, line in enumerate(lines) if "error:" in line), 0)
        reason = "\n".join(line[:300] for line in lines[first : first + 5]) or f"it ended with {done.returncode}"
        raise BackupError(f"{trouble}: {reason}")

"""Tables of the superuser in the database penguins, row by row: audit trail, prediction log, verdicts and alarms.

Their rows are read by the role penguins, and put into the tables of init-db by a role that can only add rows. So an
archive brings data, and nothing that the superuser would run.
"""

import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import IO, Any, Final

from psycopg import Connection, sql

from backup.archive import CHUNK
from backup.databases import SUPERUSERS
from backup.errors import BackupError
from backup.manifest import Table
from backup.stack import Login

_SETTINGS: Final = ("log.retention",)  # made of a variable at each start

_TABLES: Final = """
    SELECT nspname, relname, array_agg(attname::text ORDER BY attnum)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
    WHERE nspname = ANY (%s) AND relkind IN ('r', 'p') AND NOT relispartition
        AND nspname || '.' || relname <> ALL (%s)
    GROUP BY nspname, relname ORDER BY nspname, relname"""
_DAYS: Final = """
    SELECT right(relname, 8) FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = 'log.predictions'::regclass AND relname ~ '^predictions_[0-9]{8}$' ORDER BY 1"""
_IDENTITIES: Final = """
    SELECT attrelid::regclass::text, attname FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE attidentity <> '' AND nspname = ANY (%s)"""

_PARTITION: Final = sql.SQL("CREATE TABLE {} PARTITION OF log.predictions FOR VALUES FROM ({}) TO ({})")
_ROLE: Final = sql.Identifier("restore")


def read_tables(connection: Connection[Any]) -> list[tuple[str, str, list[str]]]:
    """Return schema, name and columns of each table, in the order in which they can be restored."""
    return connection.execute(_TABLES, [list(SUPERUSERS), list(_SETTINGS)]).fetchall()


def read_days(connection: Connection[Any]) -> list[str]:
    """Return the days that have a partition of predictions."""
    return [day for (day,) in connection.execute(_DAYS)]


def copy_out(connection: Connection[Any], schema: str, name: str, columns: list[str], file: IO[bytes]) -> Table:
    """Write the rows of a table to a file."""
    statement = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(_list(columns), sql.Identifier(schema, name))
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for data in copy:
                file.write(data)
        rows = cursor.rowcount
    return Table(schema_name=schema, name=name, columns=tuple(columns), rows=rows)


class TablesOfSuperuser:
    """Puts rows into the empty tables of a new stack."""

    def __init__(self, superuser: Connection[Any], login: Login) -> None:
        """Take the superuser's connection to the database, and a login there whose address is used."""
        self._superuser = superuser
        self._known = {f"{schema}.{name}": columns for schema, name, columns in read_tables(superuser)}
        self._login = Login(login.host, login.port, "restore", secrets.token_hex(16), login.database)

    def check(self, tables: tuple[Table, ...]) -> None:
        """Check that there is a place for all columns. Raises BackupError."""
        for table in tables:
            full = f"{table.schema_name}.{table.name}"
            if not set(table.columns) <= set(self._known.get(full, ())) or not table.columns:
                raise BackupError(
                    f"this version of the project has no table {full} with the columns {', '.join(table.columns)}: "
                    "restore it with the version that made the backup, or a newer one"
                )

    def prepare(self, days: tuple[str, ...]) -> None:
        """Make the partitions of the days, and the role that adds rows."""
        for day in days:
            first = _date(day)
            name = sql.Identifier("log", f"predictions_{day}")
            self._superuser.execute(_PARTITION.format(name, str(first), str(first + timedelta(1))))
        schemas, tables = _list(SUPERUSERS), _list(list(self._known), qualified=True)
        for statement in (
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(_ROLE, self._login.password),
            sql.SQL("GRANT CONNECT ON DATABASE penguins TO {}").format(_ROLE),
            sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schemas, _ROLE),
            sql.SQL("GRANT INSERT ON {} TO {}").format(tables, _ROLE),
            # Without it the trigger on events would decide anew what the trail says already.
            sql.SQL("GRANT SET ON PARAMETER session_replication_role TO {}").format(_ROLE),
        ):
            self._superuser.execute(statement)

    def copy_in(self, table: Table, file: IO[bytes]) -> None:
        """Add the rows of a table, as the role that can do nothing else. Raises BackupError if some are missing."""
        full = sql.Identifier(table.schema_name, table.name)
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(full, _list(table.columns))
        with self._login.connect() as connection, connection.cursor() as cursor:
            if (table.schema_name, table.name) == ("log", "events"):
                cursor.execute("SET session_replication_role = replica")
            with cursor.copy(statement) as copy:
                for chunk in _chunks(file):
                    copy.write(chunk)
            if cursor.rowcount != table.rows:
                raise BackupError(f"{table.member} has {cursor.rowcount} rows, and its manifest says {table.rows}")

    def finish(self) -> None:
        """Let numbers go on after those that are there, and remove the role."""
        for table, column in self._superuser.execute(_IDENTITIES, [list(SUPERUSERS)]).fetchall():
            self._superuser.execute(
                sql.SQL("SELECT setval(pg_get_serial_sequence({0}, {1}), max({2})) FROM {3}").format(
                    table, column, sql.Identifier(column), sql.Identifier(*table.split("."))
                )
            )
        for statement in ("DROP OWNED BY {}", "DROP ROLE {}"):
            self._superuser.execute(sql.SQL(statement).format(_ROLE))
        self._superuser.execute("ANALYZE")


def _list(names: "tuple[str, ...] | list[str]", qualified: bool = False) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(*(name.split(".") if qualified else [name])) for name in names)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk


def _date(day: str) -> datetime:
    if not re.fullmatch(r"[0-9]{8}", day):
        raise BackupError(f"{day!r} isn't a day")
    try:
        return datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise BackupError(f"{day!r} isn't a day") from error

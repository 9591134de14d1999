"""Export a table of the pipeline's database as a CSV file, so that it is read as every other source."""

from pathlib import Path
from typing import Any, Final

from psycopg import Connection, DataError, ProgrammingError, errors, sql

from penguins.data.header import quoted
from penguins.errors import UserError

PREFIX: Final = "table:"

_BOOLEAN: Final = 16  # type of PostgreSQL, whose COPY writes `t` and `f`
# One order of the rows and one form of the values, so that the same table gives the same file.
_SETTINGS: Final = (
    "SET TRANSACTION READ ONLY",
    "SET LOCAL synchronize_seqscans = off",
    "SET LOCAL max_parallel_workers_per_gather = 0",
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO'",
)
_FIND: Final = """
    SELECT nspname, relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relname = %s AND relkind IN ('r', 'v', 'm', 'f', 'p')
        AND (nspname = %s OR %s = '' AND pg_table_is_visible(pg_class.oid))
"""
_KNOWN: Final = """
    SELECT CASE WHEN pg_table_is_visible(pg_class.oid) THEN relname ELSE nspname || '.' || relname END AS name
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'v', 'm', 'f', 'p') AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'
        AND has_schema_privilege(nspname, 'USAGE') AND has_table_privilege(pg_class.oid, 'SELECT')
    ORDER BY pg_table_is_visible(pg_class.oid) DESC, name
"""


def is_table(source: str) -> bool:
    """Return whether a source is the address of a table, `table:name` or `table:schema.name`."""
    return source.startswith(PREFIX)


def name_of_table(source: str) -> str:
    """Return the name of the table of an address, without its schema."""
    schema, _, name = source.removeprefix(PREFIX).partition(".")
    return name or schema


def export(connection: Connection[Any] | None, source: str, folder: Path) -> Path:
    """Write the rows of a table or view to a CSV file in `folder`, in constant memory.

    Args:
        connection: to the pipeline's database, in autocommit mode; None where there is none.

    Raises:
        UserError: there is no such table, it may not be read, or there is no database.
    """
    if connection is None:
        raise UserError(f"{source}: a table needs the pipeline's database, and there is none here: make up starts it.")
    path = folder / "table.csv"
    try:
        with connection.transaction():
            for setting in _SETTINGS:
                connection.execute(setting)
            query = _select(connection, _identifier(connection, source))
            with (
                path.open("wb") as file,
                connection.cursor() as cursor,
                cursor.copy(sql.SQL("COPY ({}) TO STDOUT (FORMAT csv, HEADER)").format(query)) as copy,
            ):
                for block in copy:
                    file.write(block)
    except errors.InsufficientPrivilege as error:
        raise UserError(
            f"{source}: {error.diag.message_primary}: GRANT the role {connection.info.user} USAGE on the schema and "
            "SELECT on the table."
        ) from error
    except (DataError, ProgrammingError, errors.ReadOnlySqlTransaction) as error:  # such as a view that divides by 0
        raise UserError(f"{source[:200]}: can't be read: {' '.join(str(error).split())}") from error
    return path


def _identifier(connection: Connection[Any], source: str) -> sql.Identifier:
    before, dot, after = source.removeprefix(PREFIX).partition(".")
    schema, name = (before, after) if dot else ("", before)
    found = connection.execute(_FIND, [name, schema, schema]).fetchone()
    if found is None:
        known = [name for (name,) in connection.execute(_KNOWN)]
        raise UserError(
            f"{source[:200]}: there is no such table in the database {connection.info.dbname!r}. "
            f"Give table:name or table:schema.name, in the case that the name has; there are {quoted(known) or 'none'}."
        )
    return sql.Identifier(*found)


def _select(connection: Connection[Any], table: sql.Identifier) -> sql.Composed:
    columns = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(table)).description or ()
    shown = [
        sql.SQL("{0}::text AS {0}" if column.type_code == _BOOLEAN else "{}").format(sql.Identifier(column.name))
        for column in columns
    ]
    return sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(shown), table)

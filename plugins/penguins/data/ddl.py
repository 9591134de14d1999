"""The tables of a contract: their columns with types and comments, made where they are missing or have changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from psycopg import Connection, sql

from contract.schema import SOURCE_ROW, Column, DataContract
from penguins.errors import UserError
from penguins.locks import exclusive_lock

Kind = Literal["raw", "processed"]

_TYPES: Final = {
    "number": "double precision",
    "integer": "bigint",
    "string": "text",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp with time zone",
}
# Types of existing tables that serve as well.
_NARROWER: Final = {("integer", "bigint")}
_LABEL: Final = "smallint"

_READ_FIELDS: Final = """
    SELECT attname, format_type(atttypid, NULL), attnotnull, coalesce(col_description(attrelid, attnum), '')
    FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


@dataclass(frozen=True)
class Field:
    """A column of a table: its type in PostgreSQL, whether it is NOT NULL, and its comment."""

    name: str
    type: str
    required: bool
    comment: str


def fields(contract: DataContract, kind: Kind) -> list[Field]:
    """Return the columns that a table of the contract has."""
    if kind == "raw":
        row = Field(SOURCE_ROW, "bigint", True, "Number of the row in the source, from 1")
        return [row, *(field_of(column, required=False) for column in contract.columns)]
    row = Field(SOURCE_ROW, "bigint", True, f"The row of {contract.table('raw')} it was made from")
    label = Field(contract.label_column, _LABEL, True, f"{contract.target.name} as a number: its position, from 0")
    others = (field_of(column, column.required) for column in (*contract.features, *contract.others))
    return [row, field_of(contract.target, required=True), label, *others]


def field_of(column: Column, required: bool) -> Field:
    """Return the column of a table that has the values of a column of the contract."""
    return Field(column.name, _TYPES[column.type], required, _describe(column))


def _describe(column: Column) -> str:
    text = ": ".join(filter(None, [column.title, column.description]))
    return f"{text} ({column.unit})" if text and column.unit else text or (column.unit and f"in {column.unit}")


def read_fields(connection: Connection[Any], table: str) -> dict[str, Field]:
    """Return the columns of an existing table by their names; none if there is no such table."""
    return {row[0]: Field(*row) for row in connection.execute(_READ_FIELDS, [table]).fetchall()}


def differences(found: Mapping[str, Field], wanted: Sequence[Field]) -> list[str]:
    """Name the columns that a table lacks, has beside those wanted, or has with another type."""
    named = {field.name for field in wanted}
    changes = [f"{name!r} is gone" for name in found if name not in named]
    for field in wanted:
        known = found.get(field.name)
        if known is None:
            changes.append(f"{field.name!r} is new")
        elif known.type != field.type and (known.type, field.type) not in _NARROWER:
            changes.append(f"{field.name!r} is {field.type} and was {known.type}")
        elif known.required != field.required:
            changes.append(f"{field.name!r} {'is' if field.required else 'is no longer'} required")
    return changes


def create_staging(connection: Connection[Any], contract: DataContract, kind: Kind, staging: str) -> list[str]:
    """Create an empty table like the published one or, if the contract has changed since, by the contract.

    Returns:
        The changes of the columns; none if the table is as it was, or new.

    Raises:
        UserError: the published table wasn't made by the pipeline.
    """
    name = contract.table(kind)
    found, wanted = read_fields(connection, name), fields(contract, kind)
    _check_ours(contract, name, found)
    changes = differences(found, wanted) if found else []
    if found and not changes:
        like = sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)")
        connection.execute(like.format(sql.Identifier(staging), sql.Identifier(name)))
        return []
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}{}").format(
            sql.Identifier(field.name), sql.SQL(field.type), sql.SQL(" NOT NULL" if field.required else "")
        )
        for field in wanted
    )
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(staging), columns))
    content = (
        "the source as the run that started last has loaded it; replaced as a whole"
        if kind == "raw"
        else f"rows of {contract.table('raw')} that the model can learn from"
    )
    comment_on(connection, staging, f"{contract.title or contract.name}: {content}")
    for field in wanted:
        former = found[field.name].comment if field.name in found else ""
        if text := field.comment or former:
            comment_on(connection, staging, text, field.name)
    return changes


def create_rejected(connection: Connection[Any], contract: DataContract) -> None:
    """Create the table of the rejected rows, if it is missing.

    Raises:
        UserError: there is a table of that name that the pipeline didn't make.
    """
    name = contract.table("rejected")
    with exclusive_lock(connection, name), connection.transaction():
        found = read_fields(connection, name)
        _check_ours(contract, name, found)
        if found:
            return
        columns = sql.SQL(", ").join(
            sql.SQL("{} {} NOT NULL").format(sql.Identifier(column), sql.SQL(kind))
            for column, (kind, _) in _REJECTED.items()
        )
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(name), columns))
        comment_on(connection, name, f"{contract.title or contract.name}: rows that break the data contract")
        for column, (_, text) in _REJECTED.items():
            comment_on(connection, name, text, column)


_REJECTED: Final = {
    SOURCE_ROW: ("bigint", "Number of the row in the source, from 1"),
    "task": ("text", "The task that rejected the row"),
    "reason": ("text", "Reason of the rejection, for a person to read"),
    "record": ("jsonb", "The row as it was read"),
    "run_id": ("text", "The DAG run that rejected the row; empty for none"),
}


def _check_ours(contract: DataContract, name: str, found: Mapping[str, Field]) -> None:
    if found and SOURCE_ROW not in found:
        raise UserError(
            f"the contract {contract.name} needs the name {name} for a table of its own, and somebody else has made a "
            "table of that name. Rename that table, or the contract."
        )


def comment_on(connection: Connection[Any], table: str, text: str, column: str | None = None) -> None:
    """Comment on a table, or on one of its columns."""
    names, kind = (table,) if column is None else (table, column), "TABLE" if column is None else "COLUMN"
    statement = sql.SQL("COMMENT ON {} {} IS {}")
    connection.execute(statement.format(sql.SQL(kind), sql.Identifier(*names), sql.Literal(text)))

"""The tables of scored and of rejected rows: replaced together, in one transaction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from psycopg import Connection, Error, errors, sql

from contract.schema import MAX_NAME_BYTES, SOURCE_ROW, Column, DataContract
from penguins.data.ddl import Field, comment_on, field_of, read_fields
from penguins.data.publishing import publish
from penguins.data.runs import drop_table, staging_of
from penguins.errors import UserError
from penguins.locks import exclusive_lock

_REJECTED: Final = (
    Field(SOURCE_ROW, "bigint", True, "Number of the row in the source, from 1"),
    Field("reason", "text", True, "Reason of the rejection, for a person to read"),
    Field("record", "jsonb", True, "The row as it was read"),
)


def rejected_name(table: str) -> str:
    """Return the name of the table of rejected rows."""
    return f"{table}_rejected"


def fields(columns: Sequence[Column], answer_key: str) -> list[Field]:
    """Return the columns of the table of scored rows: number, the source's columns, and the answer's.

    A column of the source keeps its name: one of the answer that has the same is named `scored_…`.
    """
    taken = {column.name for column in columns}
    answer = [
        Field(answer_key, "text", True, "The predicted class"),
        Field("probability", "double precision", True, "Probability of this class"),
        Field("probabilities", "real[]", True, "Probability of each class, in the order of the contract"),
        Field("outside_training_range", "text", True, "Features outside the range of the training data"),
        Field("model_version", "text", True, "The version that has answered"),
        Field("prediction_id", "text", False, "Id of the row in the prediction log; null if the service has none"),
    ]
    row = Field(SOURCE_ROW, "bigint", True, "Number of the row in the source, from 1")
    given = [field_of(column, required=False) for column in columns]
    named = [Field(f"scored_{each.name}", *_rest(each)) if each.name in taken else each for each in answer]
    return [row, *given, *named]


def _rest(field: Field) -> tuple[str, bool, str]:
    return field.type, field.required, field.comment


@contextmanager
def replace(
    connection: Connection[Any], contract: DataContract, table: str, columns: Sequence[Field]
) -> Iterator[tuple[sql.Identifier, sql.Identifier]]:
    """Yield staging tables for scored and for rejected rows; put both in place after the block.

    The block is one transaction: readers see the tables before or the new ones, and the ones before stay if it fails.
    Comments and rights are kept.

    Raises:
        UserError: somebody else has made a table of one of the names, or something depends on it.
    """
    new = {table: list(columns), rejected_name(table): list(_REJECTED)}
    with exclusive_lock(connection, staging_of(table)):
        _check_ours(connection, table)
        for name in new:
            drop_table(connection, staging_of(name))
        try:
            with connection.transaction():
                for name, wanted in new.items():
                    _create(connection, staging_of(name), wanted)
                title = contract.title or contract.name
                comment_on(connection, staging_of(table), f"{title}: rows scored with the version in Production")
                comment_on(connection, staging_of(rejected_name(table)), f"{title}: rows that couldn't be scored")
                scored, rejected = (sql.Identifier(staging_of(name)) for name in new)
                yield scored, rejected
                for name in new:
                    connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(staging_of(name))))
                    publish(connection, name, staging_of(name), None)
        except BaseException as error:
            with suppress(Error):  # such as a lost connection, of which the error above tells
                for name in new:
                    drop_table(connection, staging_of(name))
            if isinstance(error, errors.ProgramLimitExceeded):
                raise UserError(
                    f"{table}: a row of it is too large for PostgreSQL ({error.diag.message_primary}). Leave columns "
                    "out of the source."
                ) from error
            raise


def check_name(table: str) -> None:
    """Check that names can be made of a table's name.

    Raises:
        UserError: it is too long, or has other characters than letters, digits and underscores.
    """
    longest = MAX_NAME_BYTES - len(staging_of(rejected_name("")))
    if not table.isascii() or not table.isidentifier() or table != table.lower() or len(table) > longest:
        raise UserError(
            f"table: {table[:80]!r} can't be the name of a table: write at most {longest} small letters, digits and "
            "underscores, beginning with a letter."
        )


def _check_ours(connection: Connection[Any], scored: str) -> None:
    found = {name: read_fields(connection, name) for name in (scored, rejected_name(scored))}
    ours = {
        scored: SOURCE_ROW in found[scored] and any(field.type == "real[]" for field in found[scored].values()),
        rejected_name(scored): list(found[rejected_name(scored)]) == [field.name for field in _REJECTED],
    }
    for name, is_ours in ours.items():
        if found[name] and not is_ours:
            raise UserError(
                f"There is a table {name} that has no scored rows in it. Give another name for the new one."
            )


def _create(connection: Connection[Any], table: str, columns: Sequence[Field]) -> None:
    parts = sql.SQL(", ").join(
        sql.SQL("{} {}{}").format(
            sql.Identifier(field.name), sql.SQL(field.type), sql.SQL(" NOT NULL" if field.required else "")
        )
        for field in columns
    )
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(table), parts))
    for field in columns:
        if field.comment:
            comment_on(connection, table, field.comment, field.name)

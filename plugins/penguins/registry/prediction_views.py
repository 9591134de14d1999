"""Views of the prediction log by contract: columns with their names, categories and classes decoded, truth beside them.

`<name>_predictions` has the rows of the contract as it is now. A contract that has changed gets a new view, and that of
the one before is renamed. A view that an earlier version of this module has made gets the columns that it lacks.
"""

import logging
from typing import Any, Final

from psycopg import Connection, errors, sql

from contract.manifest import Contract
from contract.segments import LoggedContract, LoggedFeature
from penguins.locks import exclusive_lock

log = logging.getLogger(__name__)

_DIGEST_DIGITS: Final = 8

_LOG_COLUMNS: Final = ("prediction_id", "row_index", "at", "model", "version", "latency_ms", "outside", "fraction")
_TRUTH: Final = sql.SQL(
    """(SELECT feedback.class FROM log.feedback
        WHERE feedback.prediction_id = rows.prediction_id AND feedback.row_index = rows.row_index
            AND feedback.model = rows.model
        ORDER BY feedback.at DESC, feedback.received_at DESC, feedback.class, feedback.who LIMIT 1)"""
)


def view_name(contract: str) -> str:
    """Return the name of a contract's view."""
    return f"{contract}_predictions"


def create_view_of(connection: Connection[Any], contract: Contract) -> None:
    """Create the view of a version's contract, as `create_view` does."""
    create_view(connection, contract.digest, LoggedContract.of(contract))


def create_view(connection: Connection[Any], digest: bytes, contract: LoggedContract, is_current: bool = True) -> None:
    """Create the view of a contract, or bring it up to date. What somebody else has made by its name stays.

    Args:
        is_current: whether it gets the name `<name>_predictions` if the view of another contract has it.
    """
    name, hexadecimal = view_name(contract.name), digest.hex()
    with exclusive_lock(connection, name), connection.transaction():
        found = _digest_of(connection, name)
        if found == hexadecimal:
            _complete(connection, name, digest, contract)
            return
        if found is None and _exists(connection, name):
            log.warning("%s isn't the pipeline's view of the prediction log: rename it to get one", name)
            return
        old = _old_name(name, hexadecimal)
        if found is not None and not is_current:
            name = old
        elif found is not None:
            _rename(connection, name, _old_name(name, found))
        if _digest_of(connection, old) != hexadecimal:
            _create(connection, name, digest, contract)
            return
        if name != old:
            _rename(connection, old, name)
        _complete(connection, name, digest, contract)


def _old_name(name: str, digest: str) -> str:
    return f"{name}_{digest[:_DIGEST_DIGITS]}"


def _create(connection: Connection[Any], name: str, digest: bytes, contract: LoggedContract) -> None:
    connection.execute(sql.SQL("CREATE VIEW {}").format(_definition(name, digest, contract)))
    comment = sql.SQL("COMMENT ON VIEW {} IS {}")
    text = sql.Literal(f"{_PREFIX}{digest.hex()}")
    connection.execute(comment.format(sql.Identifier("public", name), text))


def _complete(connection: Connection[Any], name: str, digest: bytes, contract: LoggedContract) -> None:
    """Add the columns that a view lacks. What depends on the view stays as it is, and so does who may read it."""
    count = "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0"
    row = connection.execute(count, [f'public."{name}"']).fetchone()
    if row and row[0] >= len(_columns(contract)):
        return
    try:
        with connection.transaction():
            connection.execute(sql.SQL("CREATE OR REPLACE VIEW {}").format(_definition(name, digest, contract)))
    except errors.InvalidTableDefinition as error:
        why = error.diag.message_primary
        log.warning("%s was changed, so it gets no new columns: rename it to get a new view (%s)", name, why)


_PREFIX: Final = "Predictions by the contract with the digest "


def _digest_of(connection: Connection[Any], view: str) -> str | None:
    """Return the digest of the contract that a view was made for; None if there is none of ours by that name."""
    statement = "SELECT obj_description(oid, 'pg_class') FROM pg_class WHERE oid = to_regclass(%s) AND relkind = 'v'"
    row = connection.execute(statement, [f'public."{view}"']).fetchone()
    text = row[0] if row and row[0] else ""
    return text.removeprefix(_PREFIX) if text.startswith(_PREFIX) else None


def _exists(connection: Connection[Any], name: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [f'public."{name}"']).fetchone()
    return bool(row and row[0])


def _rename(connection: Connection[Any], before: str, after: str) -> None:
    statement = sql.SQL("ALTER VIEW {} RENAME TO {}")
    connection.execute(statement.format(sql.Identifier("public", before), sql.Identifier(after)))


def _definition(name: str, digest: bytes, contract: LoggedContract) -> sql.Composed:
    listed = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(value, sql.Identifier(column)) for column, value in _columns(contract)
    )
    statement = sql.SQL("{} AS SELECT {} FROM log.predictions AS rows WHERE rows.contract = {}")
    return statement.format(sql.Identifier("public", name), listed, sql.Literal(digest))


def _columns(contract: LoggedContract) -> list[tuple[str, sql.Composable]]:
    """Return the columns of a view. PostgreSQL adds new ones to an existing view only at the end."""
    taken = {feature.name for feature in contract.features} | {contract.target}
    classes = sql.Literal(list(contract.classes))
    label = sql.SQL("({}::text[])[rows.class + 1]").format(classes)
    columns: list[tuple[str, sql.Composable]] = [
        (each, sql.SQL("rows.{}").format(sql.Identifier(each))) for each in _LOG_COLUMNS
    ]
    columns += [
        ("probability", sql.SQL("rows.probabilities[rows.class + 1]")),
        ("shadow", sql.SQL("({}::text[])[rows.shadow + 1]").format(classes)),
        ("truth", _TRUTH),
        ("correct", sql.SQL("{} = {}").format(_TRUTH, label)),
        ("shadow_version", sql.SQL("rows.shadow_version")),
    ]
    # A feature keeps its name.
    named = [(_free(column, taken), value) for column, value in columns]
    own: list[tuple[str, sql.Composable]] = [(contract.target, label)]
    own += [(each.name, _decoded(each, place)) for place, each in enumerate(contract.features, 1)]
    return [*named[:5], *own, *named[5:]]


def _free(column: str, taken: set[str]) -> str:
    while column in taken:
        column = f"log_{column}"
    return column


def _decoded(feature: LoggedFeature, place: int) -> sql.Composed:
    """Return the value of a feature; null if it is missing or wasn't logged."""
    value = sql.SQL("nullif(rows.features[{}], 'NaN')").format(sql.Literal(place))
    if feature.categories is None and feature.type != "boolean":
        return sql.Composed([value])
    known = [False, True] if feature.categories is None else list(feature.categories)
    kind = "boolean" if feature.categories is None else "bigint" if isinstance(known[0], int) else "text"
    # The code after the last one is that of a missing value.
    return sql.SQL("({}::{}[])[{}::integer + 1]").format(sql.Literal(known), sql.SQL(kind), value)

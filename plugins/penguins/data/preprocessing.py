"""preprocess: clean and label the raw rows of a contract, inside Postgres."""

import logging
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection, sql

from contract.schema import SOURCE_ROW, DataContract, free_name
from penguins.data.contract import or_penguins
from penguins.data.rules import rules
from penguins.data.runs import Run, find_table, id_of
from penguins.data.tables import check_rejected_share, forget_rejected, replace_table
from penguins.errors import UserError

log = logging.getLogger(__name__)

TASK: Final = "preprocess"


@dataclass(frozen=True)
class PreprocessReport:
    """The result of preprocess.

    Attributes:
        rows: rows now in the processed table.
        incomplete: rows left out because a required column is null.
        rejected: rows set aside because they break the data contract.
    """

    rows: int
    incomplete: int
    rejected: int


def preprocess(
    connection: Connection[Any], max_rejected_share: float, contract: DataContract | None = None, run: Run | None = None
) -> PreprocessReport:
    """Replace the processed table of a DAG run by the complete and possible rows of its raw table.

    A class becomes its position in the contract, the label. Rows with an unknown class or category, or an impossible
    number, go to the table of the rejected ones. Memory is constant, because Postgres does the work.

    Args:
        max_rejected_share: share of the complete rows (0 to 1) that may break the contract.
        run: None for the published tables.

    Raises:
        UserError: the raw table is empty or was dropped, or too many of its rows break the contract.
    """
    contract = or_penguins(contract)
    name = contract.table("raw")
    with replace_table(connection, contract, "processed", run) as staging:
        raw = find_table(connection, contract, "raw", run)
        judged = _judged_rows(raw, contract)
        total, complete = _count(connection, raw, contract)
        if total == 0:
            raise UserError(f"{name} is empty. Run load_raw first.")
        forget_rejected(connection, contract, TASK, run)
        connection.execute(_reject(contract, judged, run))
        rejected = check_rejected_share(connection, contract, TASK, run, complete, max_rejected_share, name)
        columns = _columns(contract)
        kept = _KEEP.format(
            table=sql.Identifier(staging), judged=judged, columns=columns, reason=sql.Identifier(_reason(contract))
        )
        rows = connection.execute(kept).rowcount
        if rows == 0:
            raise UserError(f"not one of the {total:,} rows of {name} can be used.")
    report = PreprocessReport(rows=rows, incomplete=total - complete, rejected=rejected)
    log.info("of %s raw rows %s", f"{total:,}", report)
    return report


def _count(connection: Connection[Any], raw: sql.Identifier, contract: DataContract) -> tuple[int, int]:
    """Count all raw rows, and those with every required column."""
    counted = connection.execute(
        sql.SQL("SELECT count(*), count(*) FILTER (WHERE {}) FROM {} AS raw").format(_is_complete(contract), raw)
    ).fetchone()
    return counted or (0, 0)


def _judged_rows(raw: sql.Identifier, contract: DataContract) -> sql.Composed:
    """Compose a query of the complete raw rows, each with its label and its reason to be rejected."""
    values = [False, True] if contract.target.type == "boolean" else contract.target.categories or ()
    labels = sql.SQL(", ").join(
        sql.SQL("({}, {}::smallint)").format(sql.Literal(value), sql.Literal(label))
        for label, value in enumerate(values)
    )
    return _JUDGED.format(
        raw=raw,
        label=sql.Identifier(contract.label_column),
        reason=sql.Identifier(_reason(contract)),
        violations=_violations(contract),
        labels=labels,
        target=sql.Identifier("raw", contract.target.name),
        complete=_is_complete(contract),
    )


def _violations(contract: DataContract) -> sql.Composed:
    """Compose an expression that gives the reason why a row breaks the contract, or the empty string."""
    unknown = sql.SQL("label.number IS NULL")  # as the rule of the target says, and found already
    parts = [
        sql.SQL("CASE WHEN {} THEN {} END").format(
            unknown if rule.column.role == "target" else rule.is_broken(), rule.reason()
        )
        for rule in rules(contract)
    ]
    # An array, because a function has 100 arguments at most.
    return sql.SQL("array_to_string(ARRAY[{}]::text[], '; ')").format(sql.SQL(", ").join(parts))


def _is_complete(contract: DataContract) -> sql.Composed:
    conditions = [
        sql.SQL("{} IS NOT NULL").format(sql.Identifier("raw", column.name))
        for column in contract.columns
        if column.required or column.role == "target"
    ]
    return sql.SQL(" AND ").join(conditions)


def _columns(contract: DataContract) -> sql.Composed:
    others = (column.name for column in contract.others)
    names = (SOURCE_ROW, contract.target.name, contract.label_column, *contract.feature_names, *others)
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def _reason(contract: DataContract) -> str:
    """Return a name for the column with the reason."""
    return free_name("reason", {column.name for column in contract.columns})


def _reject(contract: DataContract, judged: sql.Composed, run: Run | None) -> sql.Composed:
    made = [_reason(contract), contract.label_column, SOURCE_ROW]
    return _REJECT.format(
        table=sql.Identifier(contract.table("rejected")),
        judged=judged,
        task=sql.Literal(TASK),
        run=sql.Literal(id_of(run)),
        reason=sql.Identifier(_reason(contract)),
        made=sql.Literal(made),
    )


_JUDGED: Final = sql.SQL(
    """
    SELECT raw.*, label.number AS {label}, {violations} AS {reason}
    FROM {raw} AS raw LEFT JOIN (VALUES {labels}) AS label (value, number) ON {target} = label.value
    WHERE {complete}
    """
)
_REJECT: Final = sql.SQL(
    """
    INSERT INTO {table} (source_row, task, reason, record, run_id)
    SELECT source_row, {task}, {reason}, to_jsonb(judged.*) - {made}::text[], {run}
    FROM ({judged}) AS judged WHERE {reason} <> ''
    """
)
_KEEP: Final = sql.SQL("INSERT INTO {table} ({columns}) SELECT {columns} FROM ({judged}) AS judged WHERE {reason} = ''")

"""preprocess: clean and encode penguins_raw into penguins_processed, inside Postgres."""

import logging
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection, sql

from contract.schema import DataContract
from penguins.data.contract import PENGUINS
from penguins.data.runs import PROCESSED, RAW, Run, find_table, id_of
from penguins.data.tables import check_rejected_share, forget_rejected, replace_table
from penguins.errors import UserError

log = logging.getLogger(__name__)

TASK: Final = "preprocess"


@dataclass(frozen=True)
class PreprocessReport:
    """The result of preprocess.

    Attributes:
        rows: rows now in penguins_processed.
        incomplete: rows left out because a column that the model uses is null.
        rejected: rows set aside because they break the data contract.
    """

    rows: int
    incomplete: int
    rejected: int


def preprocess(
    connection: Connection[Any], max_rejected_share: float, contract: DataContract = PENGUINS, run: Run | None = None
) -> PreprocessReport:
    """Replace the table penguins_processed of a DAG run by the complete and possible rows of its penguins_raw.

    A species becomes its position in the contract, the label. Rows with an unknown species or an impossible
    measurement go to penguins_rejected. Memory is constant, because Postgres does the work.

    Args:
        max_rejected_share: share of the complete rows (0 to 1) that may break the contract.
        run: None for the published tables.

    Raises:
        UserError: penguins_raw is empty or was dropped, or too many of its rows break the contract.
    """
    with replace_table(connection, PROCESSED, run) as staging:
        raw = find_table(connection, RAW, run)
        judged = _judged_rows(raw, contract)
        total, complete = _count(connection, raw, contract)
        if total == 0:
            raise UserError("penguins_raw is empty. Run load_raw first.")
        forget_rejected(connection, TASK, run)
        connection.execute(_REJECT.format(judged=judged, task=sql.Literal(TASK), run=sql.Literal(id_of(run))))
        rejected = check_rejected_share(connection, TASK, run, complete, max_rejected_share, RAW)
        rows = connection.execute(_KEEP.format(table=staging, judged=judged, columns=_columns(contract))).rowcount
        if rows == 0:
            raise UserError(f"not one of the {total:,} rows of penguins_raw can be used.")
    report = PreprocessReport(rows=rows, incomplete=total - complete, rejected=rejected)
    log.info("of %s raw rows %s", f"{total:,}", report)
    return report


def _count(connection: Connection[Any], raw: sql.Identifier, contract: DataContract) -> tuple[int, int]:
    """Count all raw rows, and those with every column that the model uses."""
    counted = connection.execute(
        sql.SQL("SELECT count(*), count(*) FILTER (WHERE {}) FROM {}").format(_is_complete(contract), raw)
    ).fetchone()
    return counted or (0, 0)


def _judged_rows(raw: sql.Identifier, contract: DataContract) -> sql.Composed:
    """Compose a query of the complete raw rows, each with its `label` and its `reason` to be rejected."""
    labels = sql.SQL(", ").join(
        sql.SQL("({}, {}::smallint)").format(sql.Literal(name), sql.Literal(label))
        for label, name in enumerate(contract.classes)
    )
    return _JUDGED.format(raw=raw, violations=_violations(contract), labels=labels, complete=_is_complete(contract))


def _violations(contract: DataContract) -> sql.Composed:
    """Compose an expression that gives the reason why a row breaks the contract, or the empty string."""
    known = ", ".join(contract.classes)
    parts = [
        sql.SQL("CASE WHEN label.number IS NULL THEN format({}, raw.species) END").format(
            sql.Literal(f"unknown species %L, known are {known}")
        )
    ]
    for feature in contract.features:
        lowest, highest = feature.plausible.minimum, feature.plausible.maximum
        message = f"{feature.name}: %s {feature.unit} is not within {lowest:g} to {highest:g}"
        parts.append(
            sql.SQL("CASE WHEN {0} NOT BETWEEN {1} AND {2} THEN format({3}, {0}) END").format(
                sql.Identifier("raw", feature.name),
                sql.Literal(lowest),
                sql.Literal(highest),
                sql.Literal(message),
            )
        )
    return sql.SQL("concat_ws('; ', {})").format(sql.SQL(", ").join(parts))


def _is_complete(contract: DataContract) -> sql.Composed:
    conditions = [
        sql.SQL("{} IS NOT NULL").format(sql.Identifier(name))
        for name in (contract.target.name, *contract.feature_names)
    ]
    return sql.SQL(" AND ").join(conditions)


def _columns(contract: DataContract) -> sql.Composed:
    names = ("source_row", "species", "label", *contract.feature_names, "island", "sex", "year")
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


_JUDGED: Final = sql.SQL(
    """
    SELECT raw.*, label.number AS label, {violations} AS reason
    FROM {raw} AS raw LEFT JOIN (VALUES {labels}) AS label (species, number) USING (species)
    WHERE {complete}
    """
)
_REJECT: Final = sql.SQL(
    """
    INSERT INTO penguins_rejected (source_row, task, reason, record, run_id)
    SELECT source_row, {task}, reason, to_jsonb(judged) - 'reason' - 'label' - 'source_row', {run}
    FROM ({judged}) AS judged WHERE reason <> ''
    """
)
_KEEP: Final = sql.SQL("INSERT INTO {table} ({columns}) SELECT {columns} FROM ({judged}) AS judged WHERE reason = ''")

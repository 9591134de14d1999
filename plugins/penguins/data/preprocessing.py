"""preprocess: clean and encode penguins_raw into penguins_processed, inside Postgres."""

import logging
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, sql

from penguins.data.contract import FEATURE_NAMES, FEATURES, REQUIRED_COLUMNS, SPECIES
from penguins.data.tables import judge_rejected, replacing
from penguins.errors import UserError

log = logging.getLogger(__name__)

TASK = "preprocess"


@dataclass(frozen=True)
class PreprocessReport:
    """What preprocess did with the rows of penguins_raw.

    Attributes:
        rows: rows now in penguins_processed.
        incomplete: rows left out because a column that the model uses is null.
        rejected: rows set aside because they break the data contract.
    """

    rows: int
    incomplete: int
    rejected: int


def preprocess(connection: Connection[Any], max_rejected_share: float) -> PreprocessReport:
    """Replace penguins_processed by the complete and possible rows of penguins_raw.

    Species become labels in alphabetical order. Rows with an unknown species or an impossible
    measurement go to penguins_rejected. Constant memory: Postgres does the work.

    Raises:
        UserError: penguins_raw is empty, or too many of its rows break the contract.
    """
    with replacing(connection, "penguins_processed") as staging:
        total, complete = _count(connection)
        if total == 0:
            raise UserError("penguins_raw is empty. Run load_raw first.")
        connection.execute("DELETE FROM penguins_rejected WHERE task = %s", [TASK])
        connection.execute(_REJECT.format(judged=_JUDGED, task=sql.Literal(TASK)))
        rejected = judge_rejected(connection, TASK, complete, max_rejected_share, "penguins_raw")
        rows = connection.execute(_KEEP.format(table=staging, judged=_JUDGED, columns=_COLUMNS)).rowcount
        if rows == 0:
            raise UserError(f"not one of the {total:,} rows of penguins_raw can be used.")
    report = PreprocessReport(rows=rows, incomplete=total - complete, rejected=rejected)
    log.info("of %s raw rows %s", f"{total:,}", report)
    return report


def _count(connection: Connection[Any]) -> tuple[int, int]:
    """All rows of penguins_raw, and those with every column that the model uses."""
    counted = connection.execute(
        sql.SQL("SELECT count(*), count(*) FILTER (WHERE {}) FROM penguins_raw").format(_COMPLETE)
    ).fetchone()
    return counted or (0, 0)


def _violations() -> sql.Composed:
    """An SQL expression: why a row breaks the contract, or the empty string."""
    known = ", ".join(SPECIES)
    parts = [
        sql.SQL("CASE WHEN label.number IS NULL THEN format({}, raw.species) END").format(
            sql.Literal(f"unknown species %L, known are {known}")
        )
    ]
    for feature in FEATURES:
        message = f"{feature.name}: %s {feature.unit} is not within {feature.lowest:g} to {feature.highest:g}"
        parts.append(
            sql.SQL("CASE WHEN {0} NOT BETWEEN {1} AND {2} THEN format({3}, {0}) END").format(
                sql.Identifier("raw", feature.name),
                sql.Literal(feature.lowest),
                sql.Literal(feature.highest),
                sql.Literal(message),
            )
        )
    return sql.SQL("concat_ws('; ', {})").format(sql.SQL(", ").join(parts))


_COLUMNS = sql.SQL(", ").join(
    sql.Identifier(name) for name in ("source_row", "species", "label", *FEATURE_NAMES, "island", "sex", "year")
)
_COMPLETE = sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(sql.Identifier(name)) for name in REQUIRED_COLUMNS)
_LABELS = sql.SQL(", ").join(
    sql.SQL("({}, {}::smallint)").format(sql.Literal(name), sql.Literal(label)) for label, name in enumerate(SPECIES)
)
_JUDGED = sql.SQL(
    """
    SELECT raw.*, label.number AS label, {violations} AS reason
    FROM penguins_raw AS raw LEFT JOIN (VALUES {labels}) AS label (species, number) USING (species)
    WHERE {complete}
    """
).format(violations=_violations(), labels=_LABELS, complete=_COMPLETE)
_REJECT = sql.SQL(
    """
    INSERT INTO penguins_rejected (source_row, task, reason, record)
    SELECT source_row, {task}, reason, to_jsonb(judged) - 'reason' - 'label' - 'source_row'
    FROM ({judged}) AS judged WHERE reason <> ''
    """
)
_KEEP = sql.SQL("INSERT INTO {table} ({columns}) SELECT {columns} FROM ({judged}) AS judged WHERE reason = ''")

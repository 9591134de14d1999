"""Score the rows of a source with the version in Production, into a table, in constant memory."""

import csv
import io
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection, Cursor, sql

from contract.schema import DataContract
from penguins.data import binary_copy
from penguins.data.ingest import prefetch
from penguins.data.parsing import Rejected
from penguins.data.sources import Source, open_source
from penguins.errors import UserError
from penguins.scoring import tables
from penguins.scoring.answers import Answered, Scorer
from penguins.scoring.rows import chunks, input_contract
from penguins.service_client import ServiceClient

log = logging.getLogger(__name__)

LOG_EVERY_ROWS: Final = 1_000_000  # rows between two lines of progress in the log

_COPY_REJECTED: Final = sql.SQL("COPY {} (source_row, reason, record) FROM STDIN (FORMAT csv)")


@dataclass(frozen=True)
class ScoreReport:
    """The result of a run.

    Attributes:
        rows: scored rows by the version that has answered; several if Production was swapped meanwhile.
        rejected: rows that couldn't be scored.
    """

    source: str
    table: str
    rows: dict[str, int]
    rejected: int


def score(connection: Connection[Any], source: str, table: str, contract: DataContract) -> ScoreReport:
    """Replace a table by the rows of a source with their predictions; rejected rows go to `<table>_rejected`.

    All changes are one transaction: after an error the tables are as before.

    Raises:
        UserError: the source can't be read or has no row to score, nothing is in Production, or the table is another's.
        ServiceError: the service doesn't answer.
    """
    tables.check_name(table)
    client = ServiceClient(contract.training.registered_model)
    served = client.served()
    reading = input_contract(contract, served)
    columns = tables.fields(reading.columns, served.answer_key)
    with (
        open_source(source, reading, connection) as opened,
        tempfile.TemporaryFile("w+b") as rejected_rows,
        tables.replace(connection, contract, table, columns) as (scored, rejected),
        connection.cursor() as cursor,
    ):
        names = [field.name for field in columns]
        scorer = Scorer(client, served)
        rows = _copy(cursor, scored, names, opened, scorer, len(served.classes), rejected_rows)
        rejected_rows.write(_as_csv(Rejected(number, why, "null") for number, why in opened.malformed.items()))
        rejected_rows.seek(0)
        with cursor.copy(_COPY_REJECTED.format(rejected)) as copy:
            while block := rejected_rows.read(1 << 20):
                copy.write(block)
        left_out = cursor.rowcount
        if not rows:
            raise UserError(f"{source}: {_explain(cursor, rejected, left_out)}")
    report = ScoreReport(source, table, dict(rows), left_out)
    log.info("scored %s rows of %s (%s rejected)", f"{rows.total():,}", source, f"{left_out:,}")
    return report


def _copy(
    cursor: Cursor[Any],
    table: sql.Identifier,
    names: Sequence[str],
    source: Source,
    scorer: Scorer,
    classes: int,
    rejected_rows: IO[bytes],
) -> Counter[str]:
    """Stream the scored rows into `table`, write the others to `rejected_rows`; count the rows by version."""
    listed = sql.SQL(", ").join(map(sql.Identifier, names))
    # FREEZE: the table was made in this transaction, so its rows can be marked as committed for all later readers.
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary, FREEZE)").format(table, listed)
    counts, started, next_log = Counter[str](), time.monotonic(), LOG_EVERY_ROWS
    with cursor.copy(statement) as copy:
        copy.write(binary_copy.HEADER)
        for rows, rejected in prefetch(chunks(source, classes)):
            answered, refused = scorer.answer(rows)
            rejected_rows.write(_as_csv([*rejected, *refused]))
            if answered is None:
                continue
            copy.write(binary_copy.encode(_batch(answered)))
            counts[answered.version] += len(answered.rows)
            if counts.total() >= next_log:
                log.info("%s rows in %.1f s", f"{counts.total():,}", time.monotonic() - started)
                next_log = counts.total() + LOG_EVERY_ROWS
        copy.write(binary_copy.TRAILER)
    return counts


def _batch(answered: Answered) -> pa.RecordBatch:
    """Return rows with their predictions, in the order of the table's columns."""
    shares, number = answered.probabilities, len(answered.rows)
    index = pc.cast(pa.array(np.arange(number)), pa.string())
    ids = pa.nulls(number, pa.string())
    if answered.prediction_id:
        ids = pc.binary_join_element_wise(pa.scalar(answered.prediction_id), index, pa.scalar("/"))
    columns = [
        *(column.combine_chunks() for column in answered.rows.columns),
        answered.labels,
        pa.array(shares.max(axis=1)),
        pa.FixedSizeListArray.from_arrays(pa.array(shares.astype(np.float32).ravel()), shares.shape[1]),
        answered.outside,
        pa.array(np.full(number, answered.version)),
        ids,
    ]
    return pa.record_batch(columns, names=[str(place) for place in range(len(columns))])


def _as_csv(rejected: Iterable[Rejected]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows((row.source_row, row.reason, row.record) for row in rejected)
    return text.getvalue().encode()


def _explain(cursor: Cursor[Any], rejected: sql.Identifier, number: int) -> str:
    if not number:
        return "the file has a header but no rows."
    first = sql.SQL("SELECT format('row %%s: %%s', source_row, reason) FROM {} ORDER BY source_row LIMIT 3")
    reasons = " | ".join(row for (row,) in cursor.execute(first.format(rejected), []).fetchall())
    return f"not one of its {number:,} rows can be scored. The first are {reasons}."

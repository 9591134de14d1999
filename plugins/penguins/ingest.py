"""load_raw: stream a source into the table penguins_raw."""

import csv
import io
import logging
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from psycopg import Connection, Cursor, sql

from penguins.errors import UserError
from penguins.parsing import RAW_TYPES, Rejected, parse
from penguins.sources import Source, open_source
from penguins.tables import judge_rejected, replacing

log = logging.getLogger(__name__)

TASK = "load_raw"


@dataclass(frozen=True)
class LoadReport:
    """What load_raw did: rows now in penguins_raw, rows set aside, and where they came from."""

    source: str
    rows: int
    rejected: int


def load_raw(connection: Connection[Any], source: str, max_rejected_share: float) -> LoadReport:
    """Replace penguins_raw by the rows of `source`, in constant memory.

    Rows with a value of the wrong type go to penguins_rejected. The swap is one transaction:
    whatever goes wrong, the old rows stay.

    Raises:
        UserError: the source can't be read, has no rows, or too many of them are broken.
    """
    with (
        open_source(source) as opened,
        tempfile.TemporaryFile("w+b") as aside,
        replacing(connection, "penguins_raw") as staging,
        connection.cursor() as cursor,
    ):
        rows = _copy(cursor, staging, opened, aside)
        connection.execute("DELETE FROM penguins_rejected WHERE task = %s", [TASK])
        aside.seek(0)
        with cursor.copy("COPY penguins_rejected FROM STDIN (FORMAT csv)") as copy:
            while block := aside.read(1 << 20):
                copy.write(block)
        total = rows + cursor.rowcount
        if total == 0:
            raise UserError(f"{source}: the file has a header but no rows.")
        rejected = judge_rejected(connection, TASK, total, max_rejected_share, source)
        if rows == 0:
            raise UserError(f"{source}: not one of its {total:,} rows can be used.")
    log.info("penguins_raw now holds %s rows of %s (%s rejected)", f"{rows:,}", source, f"{rejected:,}")
    return LoadReport(source=source, rows=rows, rejected=rejected)


def _copy(cursor: Cursor[Any], table: sql.Identifier, source: Source, aside: Any) -> int:
    """Stream the good rows into `table`, write the others to `aside` as CSV, and count the good ones."""
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in ["source_row", *RAW_TYPES])
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(table, columns)
    started, rows, told = time.monotonic(), 0, 1_000_000
    with cursor.copy(statement) as copy:
        for batch, rejected in _parsed(source):
            copy.write(_as_csv(batch))
            aside.write(_rejected_as_csv(rejected))
            rows += len(batch)
            if rows >= told:
                log.info("%s rows in %.1f s", f"{rows:,}", time.monotonic() - started)
                told = rows + 1_000_000
    aside.write(_rejected_as_csv(Rejected(number, why, "null") for number, why in source.malformed.items()))
    return rows


def _parsed(source: Source) -> Iterator[tuple[pa.RecordBatch, list[Rejected]]]:
    """Typed batches with their row numbers, which leave out those of malformed rows."""
    number = 1
    for batch in source.batches:
        numbers = np.arange(number, number + len(batch) + len(source.malformed), dtype=np.int64)
        numbers = np.setdiff1d(numbers, list(source.malformed), assume_unique=True)[: len(batch)]
        if len(batch):
            number = int(numbers[-1]) + 1
        try:
            yield parse(batch, numbers)
        except UserError as error:
            raise UserError(f"{source.name}: {error}") from error


def _as_csv(batch: pa.RecordBatch) -> memoryview:
    sink = pa.BufferOutputStream()
    pa.csv.write_csv(batch, sink, pa.csv.WriteOptions(include_header=False))
    return memoryview(sink.getvalue())


def _rejected_as_csv(rejected: Iterable[Rejected]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows((row.source_row, TASK, row.reason, row.record) for row in rejected)
    return text.getvalue().encode()

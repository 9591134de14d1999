"""load_raw: stream a source into the table penguins_raw."""

import csv
import io
import logging
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa
from psycopg import Connection, Cursor, sql

from penguins.data import binary_copy
from penguins.data.lineage import SourceFacts, address_of
from penguins.data.parsing import RAW_TYPES, Rejected, parse
from penguins.data.runs import RAW, Run, id_of, note_load, open_run
from penguins.data.sources import Source, open_source
from penguins.data.tables import check_rejected_share, forget_rejected, replace_table
from penguins.errors import UserError

log = logging.getLogger(__name__)

TASK: Final = "load_raw"
LOG_EVERY_ROWS: Final = 1_000_000  # rows between two lines of progress in the log

_COPY_REJECTED: Final = (
    "COPY penguins_rejected (source_row, task, reason, record, run_id) FROM STDIN (FORMAT csv, FORCE_NOT_NULL (run_id))"
)

Item = TypeVar("Item")


@dataclass(frozen=True)
class LoadReport:
    """The result of load_raw: the source, the rows now in penguins_raw, and the rows set aside."""

    source: str
    rows: int
    rejected: int


def load_raw(connection: Connection[Any], source: str, max_rejected_share: float, run: Run | None = None) -> LoadReport:
    """Replace the table penguins_raw of a DAG run by the rows of `source`, in constant memory.

    Rows with a value of the wrong type go to penguins_rejected. All changes are one transaction: after an error the
    old rows are still there.

    Args:
        run: None for the published table.

    Raises:
        UserError: the source can't be read, has no rows, or too many of them are broken.
    """
    address = address_of(source)
    if run:
        open_run(connection, run)
    with (
        open_source(source) as opened,
        tempfile.TemporaryFile("w+b") as rejected_rows,
        replace_table(connection, RAW, run) as staging,
        connection.cursor() as cursor,
    ):
        rows = _copy(cursor, staging, opened, rejected_rows, run)
        forget_rejected(connection, TASK, run)
        rejected_rows.seek(0)
        with cursor.copy(_COPY_REJECTED) as copy:
            while block := rejected_rows.read(1 << 20):
                copy.write(block)
        total = rows + cursor.rowcount
        if total == 0:
            raise UserError(f"{source}: the file has a header but no rows.")
        rejected = check_rejected_share(connection, TASK, run, total, max_rejected_share, source)
        if rows == 0:
            raise UserError(f"{source}: not one of its {total:,} rows can be used.")
        if run:
            facts = SourceFacts(address=address, bytes=opened.size, sha256=opened.sha256, rows=total)
            note_load(connection, run, facts.model_dump())
    log.info("loaded %s rows of %s (%s rejected)", f"{rows:,}", source, f"{rejected:,}")
    return LoadReport(source=source, rows=rows, rejected=rejected)


def _copy(cursor: Cursor[Any], table: sql.Identifier, source: Source, rejected_rows: Any, run: Run | None) -> int:
    """Stream the good rows into `table`, write the others to `rejected_rows` as CSV, and count the good ones."""
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in ["source_row", *RAW_TYPES])
    # FREEZE: the table was emptied in this transaction, so its rows can be marked as committed for all later readers.
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary, FREEZE)").format(table, columns)
    started, rows, next_log = time.monotonic(), 0, LOG_EVERY_ROWS
    with cursor.copy(statement) as copy:
        copy.write(binary_copy.HEADER)
        for count, content, rejected in _prefetch(_encoded(source)):
            copy.write(content)
            rejected_rows.write(_rejected_as_csv(rejected, run))
            rows += count
            if rows >= next_log:
                log.info("%s rows in %.1f s", f"{rows:,}", time.monotonic() - started)
                next_log = rows + LOG_EVERY_ROWS
        copy.write(binary_copy.TRAILER)
    malformed = (Rejected(number, why, "null") for number, why in source.malformed.items())
    rejected_rows.write(_rejected_as_csv(malformed, run))
    return rows


def _prefetch(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items; a thread makes the next one while the caller uses the last one."""
    with ThreadPoolExecutor(1, thread_name_prefix="parse") as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def _encoded(source: Source) -> Iterator[tuple[int, memoryview, list[Rejected]]]:
    """Yield, for each batch, the number of good rows, these rows encoded for COPY, and the rejected rows."""
    for batch, rejected in _parsed(source):
        yield len(batch), binary_copy.encode(batch), rejected


def _parsed(source: Source) -> Iterator[tuple[pa.RecordBatch, list[Rejected]]]:
    """Yield typed batches and rejected rows; malformed rows have taken a row number, too."""
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


def _rejected_as_csv(rejected: Iterable[Rejected], run: Run | None) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows((row.source_row, TASK, row.reason, row.record, id_of(run)) for row in rejected)
    return text.getvalue().encode()

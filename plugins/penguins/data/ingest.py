"""load_raw: stream a source into the raw table of a contract."""

import csv
import io
import logging
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Any, Final, TypeVar

import numpy as np
import pyarrow as pa
from psycopg import Connection, Cursor, sql

from contract.schema import SOURCE_ROW, DataContract
from penguins.data import binary_copy
from penguins.data.contract import or_penguins
from penguins.data.ddl import read_fields
from penguins.data.lineage import SourceFacts, address_of
from penguins.data.parsing import Rejected, Types, parse, raw_types
from penguins.data.runs import Run, id_of, note_load, open_run
from penguins.data.sources import Source, open_source
from penguins.data.tables import check_rejected_share, forget_rejected, replace_table
from penguins.errors import UserError

log = logging.getLogger(__name__)

TASK: Final = "load_raw"
LOG_EVERY_ROWS: Final = 1_000_000  # rows between two lines of progress in the log

_COPY_REJECTED: Final = sql.SQL(
    "COPY {} (source_row, task, reason, record, run_id) FROM STDIN (FORMAT csv, FORCE_NOT_NULL (run_id))"
)

Item = TypeVar("Item")
Parsed = tuple[pa.RecordBatch, list[Rejected]]
Encoded = tuple[int, memoryview, list[Rejected]]
"""The number of good rows of a batch, these rows encoded for COPY, and the rejected rows."""


@dataclass(frozen=True)
class LoadReport:
    """The result of load_raw: the source, the rows now in the raw table, and the rows set aside.

    Attributes:
        production_rows: rows among them that come from the prediction log.
    """

    source: str
    rows: int
    rejected: int
    production_rows: int = 0


@dataclass(frozen=True)
class ProductionRows:
    """Rows of the prediction log that join those of the source; their numbers are -1, -2 and so on.

    Attributes:
        batch: columns of the contract as a source has them.
        sha256: digest of the rows, hex.
    """

    batch: pa.RecordBatch
    sha256: str


def load_raw(
    connection: Connection[Any],
    source: str,
    max_rejected_share: float,
    run: Run | None = None,
    contract: DataContract | None = None,
    production: ProductionRows | None = None,
) -> LoadReport:
    """Replace the raw table of a DAG run by the rows of `source`, in constant memory, and perhaps of Production.

    Rows with a value of the wrong type go to the table of the rejected ones. All changes are one transaction: after an
    error the old rows are still there.

    Args:
        run: None for the published table.

    Raises:
        UserError: the source can't be read, has no rows, or too many of them are broken.
    """
    contract, address = or_penguins(contract), address_of(source)
    if run:
        open_run(connection, contract, run)
    with (
        open_source(source, contract, connection) as opened,
        tempfile.TemporaryFile("w+b") as rejected_rows,
        replace_table(connection, contract, "raw", run) as staging,
        connection.cursor() as cursor,
    ):
        types = raw_types(contract, read_fields(connection, staging))
        rows = _copy(cursor, staging, list(types), _encoded(parsed(opened, types)), rejected_rows, run)
        joined = 0
        if production and rows:
            more = iter([parse(production.batch, -np.arange(1, len(production.batch) + 1), contract, types)])
            joined = _copy(cursor, staging, list(types), _encoded(more), rejected_rows, run)
            rows += joined
        malformed = (Rejected(number, why, "null") for number, why in opened.malformed.items())
        rejected_rows.write(_rejected_as_csv(malformed, run))
        forget_rejected(connection, contract, TASK, run)
        rejected_rows.seek(0)
        with cursor.copy(_COPY_REJECTED.format(sql.Identifier(contract.table("rejected")))) as copy:
            while block := rejected_rows.read(1 << 20):
                copy.write(block)
        total = rows + cursor.rowcount
        if total == 0:
            raise UserError(f"{source}: the file has a header but no rows.")
        rejected = check_rejected_share(connection, contract, TASK, run, total, max_rejected_share, source)
        if rows == 0:
            raise UserError(f"{source}: not one of its {total:,} rows can be used.")
        if run:
            facts = SourceFacts(
                address=address,
                bytes=opened.size,
                sha256=opened.sha256,
                rows=total - joined,
                production_rows=joined if production else None,
                production_sha256=production.sha256 if production else None,
            )
            note_load(connection, contract, run, facts.model_dump())
    of_production = f", {joined:,} of Production" if joined else ""
    log.info("loaded %s rows of %s (%s rejected%s)", f"{rows:,}", source, f"{rejected:,}", of_production)
    return LoadReport(source=source, rows=rows, rejected=rejected, production_rows=joined)


def _copy(
    cursor: Cursor[Any],
    table: str,
    columns: list[str],
    batches: Iterator[Encoded],
    rejected_rows: IO[bytes],
    run: Run | None,
) -> int:
    """Stream the good rows into `table`, write the others to `rejected_rows` as CSV, and count the good ones."""
    names = sql.SQL(", ").join(sql.Identifier(name) for name in [SOURCE_ROW, *columns])
    # FREEZE: the table was emptied in this transaction, so its rows can be marked as committed for all later readers.
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary, FREEZE)").format(sql.Identifier(table), names)
    started, rows, next_log = time.monotonic(), 0, LOG_EVERY_ROWS
    with cursor.copy(statement) as copy:
        copy.write(binary_copy.HEADER)
        for count, content, rejected in prefetch(batches):
            copy.write(content)
            rejected_rows.write(_rejected_as_csv(rejected, run))
            rows += count
            if rows >= next_log:
                log.info("%s rows in %.1f s", f"{rows:,}", time.monotonic() - started)
                next_log = rows + LOG_EVERY_ROWS
        copy.write(binary_copy.TRAILER)
    return rows


def prefetch(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items; a thread makes the next one while the caller uses the last one."""
    with ThreadPoolExecutor(1, thread_name_prefix="parse") as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def _encoded(batches: Iterator[Parsed]) -> Iterator[Encoded]:
    for batch, rejected in batches:
        yield len(batch), binary_copy.encode(batch), rejected


def parsed(source: Source, types: Types) -> Iterator[Parsed]:
    """Yield typed batches and rejected rows; malformed rows have taken a row number, too."""
    for batch, numbers in source.numbered():
        try:
            yield parse(batch, numbers, source.contract, types)
        except UserError as error:
            raise UserError(f"{source.name}: {error}") from error


def _rejected_as_csv(rejected: Iterable[Rejected], run: Run | None) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows((row.source_row, TASK, row.reason, row.record, id_of(run)) for row in rejected)
    return text.getvalue().encode()

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
from penguins.data.parsing import RAW_TYPES, Rejected, parse
from penguins.data.sources import Source, open_source
from penguins.data.tables import judge_rejected, replacing
from penguins.errors import UserError

log = logging.getLogger(__name__)

TASK: Final = "load_raw"
TOLD_EVERY: Final = 1_000_000  # rows, until the log says how many there are now

Item = TypeVar("Item")


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
    # frozen: the table is this transaction's own, so no later reader has to mark its rows as committed
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary, FREEZE)").format(table, columns)
    started, rows, told = time.monotonic(), 0, TOLD_EVERY
    with cursor.copy(statement) as copy:
        copy.write(binary_copy.HEADER)
        for count, content, rejected in _ahead(_encoded(source)):
            copy.write(content)
            aside.write(_rejected_as_csv(rejected))
            rows += count
            if rows >= told:
                log.info("%s rows in %.1f s", f"{rows:,}", time.monotonic() - started)
                told = rows + TOLD_EVERY
        copy.write(binary_copy.TRAILER)
    aside.write(_rejected_as_csv(Rejected(number, why, "null") for number, why in source.malformed.items()))
    return rows


def _ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, the next one made in a thread while the last one is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="parse") as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def _encoded(source: Source) -> Iterator[tuple[int, memoryview, list[Rejected]]]:
    """Of each batch the number of good rows, those rows for COPY, and the others."""
    for batch, rejected in _parsed(source):
        yield len(batch), binary_copy.encode(batch), rejected


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


def _rejected_as_csv(rejected: Iterable[Rejected]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows((row.source_row, TASK, row.reason, row.record) for row in rejected)
    return text.getvalue().encode()

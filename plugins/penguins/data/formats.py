"""Read files of each format as Arrow record batches with the contract's columns."""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from contract.schema import DataContract
from penguins.data import dialect
from penguins.data.handlers import released_before_exit
from penguins.data.header import MAX_NAME_LENGTH, choose_columns
from penguins.data.quoting import Quoting
from penguins.errors import UserError

BATCH_BYTES: Final = 384 * 1024  # each batch is in memory several times: as text, as numbers and encoded for PostgreSQL
BATCH_ROWS: Final = 65_536
FIRST_ROWS: Final = 100
PARQUET_BYTES: Final = 32 << 20  # of the values of a batch; their text in the file may be much shorter
JSON_ROWS: Final = 4096
JSON_BYTES: Final = 8 << 20  # of the rows of JSON in a batch; as objects they take a multiple of it
MAX_TEXT_LENGTH: Final = 200  # characters of a broken row in messages and tables
MAX_LINE: Final = 1 << 20  # bytes of a row of JSON

Row = dict[str, str | None]
Object = tuple[int, Row]
"""An object of JSON with its values as text, and the length of its line."""

Batches = Iterator[pa.RecordBatch]
Malformed = dict[int, str]
"""Reasons by row number, from 1, of the rows that can't be read; filled while the batches are consumed."""


def open_text(name: str, path: Path, contract: DataContract, malformed: Malformed) -> Batches:
    """Open a file of text with separators."""

    @released_before_exit
    def skip_row(row: pa.csv.InvalidRow) -> str:
        if "\n" in row.text and quoting.first_mistake:
            return "error"
        # pyarrow counts the header as row 1.
        malformed[row.number - 1] = (
            f"{row.actual_columns} columns instead of {row.expected_columns}: {row.text[:MAX_TEXT_LENGTH]!r}"
        )
        return "skip"

    separator = contract.reading.separator or dialect.separator_of(path)
    quoting = Quoting(name, path, separator)

    def read(columns: Sequence[str]) -> pa.csv.CSVStreamingReader:
        return pa.csv.open_csv(
            path,
            # With more than one thread pyarrow doesn't give the number of a malformed row. Text that isn't UTF-8 ends
            # the reading before it is parsed: pyarrow couldn't give it to skip_row, and would print a traceback.
            # pyarrow checks every encoding but `utf-8`.
            read_options=pa.csv.ReadOptions(block_size=BATCH_BYTES, use_threads=False, encoding="utf-8-sig"),
            parse_options=pa.csv.ParseOptions(
                delimiter=separator, invalid_row_handler=skip_row, newlines_in_values=True
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()),
                strings_can_be_null=False,  # `parsing` decides for all formats which texts mean null
            ),
        )

    try:
        reader = read(_names_of(contract))
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error) and any(map(str.strip, dialect.first_lines(path))):
            raise UserError(
                f"{name}: the header has more than {BATCH_BYTES} bytes. The first line must have the names of the "
                "columns, and each row a line of its own."
            ) from None
        raise
    names = reader.schema.names
    chosen = choose_columns(name, names, contract, partial(dialect.describe_other, path, contract, separator))
    # The types of other columns would be guessed by their first rows, and all later ones had to agree.
    return _checked(reader if len(chosen) == len(names) else read(names), quoting, chosen)


def _checked(batches: Iterable[pa.RecordBatch], quoting: Quoting, chosen: list[str]) -> Batches:
    for batch in batches:
        quoting.check(batch)  # also of columns that aren't chosen
        yield batch.select(chosen)


def open_parquet(name: str, path: Path, contract: DataContract) -> Batches:
    """Open a Parquet file."""
    file = pa.parquet.ParquetFile(path)
    chosen = choose_columns(name, file.schema_arrow.names, contract)
    for column in chosen:
        kind = file.schema_arrow.field(column).type
        if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            raise UserError(
                f"{name}: column {column!r} is of type {kind}: it must hold numbers or text. Write the values that are "
                "in it as columns of their own."
            )
    rows = _rows_of_batch(file, chosen)
    return (batch.select(chosen) for batch in file.iter_batches(batch_size=rows, columns=chosen))


def _rows_of_batch(file: pa.parquet.ParquetFile, columns: list[str]) -> int:
    """Return the rows of a batch: fewer than usual if the first ones are large, as with long texts or many columns."""
    first = next(file.iter_batches(batch_size=FIRST_ROWS, columns=columns), None)
    if first is None or not first.nbytes:
        return BATCH_ROWS
    return max(1, min(BATCH_ROWS, PARQUET_BYTES * int(first.num_rows) // int(first.nbytes)))


def open_json(name: str, path: Path, contract: DataContract, malformed: Malformed) -> Batches:
    """Open a file with a JSON object in each line; the keys of the first lines are its columns."""
    objects = _objects(name, path, malformed)
    first = _some(objects)
    if not first and not malformed:
        raise UserError(f"{name}: the file is empty. It needs a JSON object in each line.")
    names = list(dict.fromkeys(key for row in first for key in row)) if first else _names_of(contract)
    chosen = choose_columns(name, names, contract)
    known = [*chosen, *(each for each in _names_of(contract) if each not in chosen)]

    def read() -> Batches:
        rows = first
        while rows:
            yield pa.RecordBatch.from_pydict(
                {column: pa.array([row.get(column) for row in rows], pa.string()) for column in known}
            )
            rows = _some(objects)

    return read()


def _some(objects: Iterator[Object]) -> list[Row]:
    """Take the next objects, as many as a batch has."""
    rows, size = [], 0
    for length, row in islice(objects, JSON_ROWS):
        rows.append(row)
        size += length
        if size > JSON_BYTES:
            break
    return rows


def _names_of(contract: DataContract) -> list[str]:
    return [column.name for column in contract.columns]


def _objects(name: str, path: Path, malformed: Malformed) -> Iterator[Object]:
    """Yield the objects with their values as text, and their lengths; broken lines go to `malformed`."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE:
                raise UserError(
                    f"{name}: row {number + 1} is longer than {MAX_LINE:,} bytes: is it a JSON object a line?"
                )
            text = line.decode("utf-8-sig" if number == 0 else "utf-8").strip()
            if not text:
                continue
            number += 1
            try:
                yield len(text), _texts_of(text)
            except _DoubledKeyError as error:
                key = str(error)[:MAX_NAME_LENGTH]
                malformed[number] = f"the key {key!r} is there twice: {text[:MAX_TEXT_LENGTH]!r}"
            except (ValueError, RecursionError):
                malformed[number] = f"not a JSON object of texts, numbers and booleans: {text[:MAX_TEXT_LENGTH]!r}"


def _texts_of(line: str) -> Row:
    row = json.loads(line, parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=_distinct)
    if not isinstance(row, dict):
        raise ValueError(line)
    texts = {key: _text_of(value) for key, value in row.items()}
    if "\\u" in line:  # it may be half of a surrogate pair, which isn't a character
        "".join(filter(None, texts.values())).encode()
    return texts


class _DoubledKeyError(ValueError):
    """An object has a key twice: only one of the values can be meant."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise _DoubledKeyError(next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1))
    return row


def _text_of(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is not None and not isinstance(value, str):
        raise ValueError(value)
    return value

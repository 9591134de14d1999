"""Open a data source of any known format as a stream of Arrow record batches.

This module checks the format (encoding, header, columns); `parsing` checks the values.
"""

import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from penguins.data.contract import OPTIONAL_COLUMNS, REQUIRED_COLUMNS
from penguins.errors import UserError

BATCH_BYTES: Final = 384 * 1024  # each batch is in memory several times: as text, as numbers and encoded for PostgreSQL
BATCH_ROWS: Final = 65_536
MAX_TEXT_LENGTH: Final = 200  # characters of a broken row in messages and tables
MAX_NAMES: Final = 10  # names of columns in a message, and the characters of each
MAX_NAME_LENGTH: Final = 50

# For the whole process: the system's allocator returns the memory of a batch. Arrow's own keeps 30 MB more.
pa.set_memory_pool(pa.system_memory_pool())


@dataclass
class Source:
    """A source being read. Consuming `batches` fills `malformed`, `size` and `sha256`.

    Attributes:
        name: the source as the user gave it.
        batches: record batches in the order of the file, with the contract's columns only.
        malformed: reason by row number (from 1, header not counted), for rows with a wrong number of columns.
        size, sha256: of the file, in bytes and hex.
    """

    name: str
    batches: Iterator[pa.RecordBatch]
    malformed: dict[int, str] = field(default_factory=dict)
    size: int = 0
    sha256: str = ""


@contextmanager
def open_source(source: str) -> Iterator[Source]:
    """Open `palmerpenguins`, the path of a CSV (also .gz) or Parquet file, or an s3:// address of one.

    Raises:
        UserError: the source can't be read, now or when its batches are taken, or its columns aren't those of the
            contract.
    """
    with _as_local_file(source) as path:
        with _translate_errors(source):
            opened = _open(source, path)
        opened.batches = _read(opened, path, opened.batches)
        yield opened


def _open(source: str, path: Path) -> Source:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] in ([".parquet"], [".pq"]):
        return _open_parquet(source, path)
    if suffixes[-1:] == [".csv"] or suffixes[-2:] == [".csv", ".gz"]:
        return _open_csv(source, path)
    raise UserError(f"{source}: unknown format {path.suffix!r}. Give a .csv, .csv.gz or .parquet file.")


def _read(source: Source, path: Path, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    before = path.stat()
    while True:
        with _translate_errors(source.name):
            batch = next(batches, None)
        if batch is None:
            break
        yield batch
    with _translate_errors(source.name), path.open("rb") as file:
        source.size, source.sha256 = before.st_size, hashlib.file_digest(file, "sha256").hexdigest()
    now = path.stat()
    if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise UserError(f"{source.name}: the file was changed while it was read. Load it when it is complete.")


@contextmanager
def _translate_errors(source: str) -> Iterator[None]:
    """Turn pyarrow's errors for an unreadable file into a UserError."""
    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{source}: {_explain(error)}") from error


@contextmanager
def _as_local_file(source: str) -> Iterator[Path]:
    if source == "palmerpenguins":
        with resources.as_file(resources.files("palmerpenguins") / "data" / "penguins.csv") as path:
            yield path
    elif source.startswith("s3://"):
        with tempfile.TemporaryDirectory() as folder:
            yield _download(source, Path(folder))
    elif os.path.isfile(source):  # noqa: PTH113 - Path.is_file() raises for a name that is too long
        yield Path(source)
    elif os.path.isdir(source):  # noqa: PTH112 - as above
        raise UserError(f"{source[:500]}: is a folder. Give the path of one CSV or Parquet file in it.")
    else:
        raise UserError(
            f"{source[:500]}: no such file on the machine that runs the task. "
            "Give `palmerpenguins`, the path of a CSV or Parquet file, or an s3:// address."
        )


def _download(source: str, folder: Path) -> Path:
    """Download an object. A wrong address is a UserError; an outage of S3 stays botocore's own error."""
    import boto3
    from botocore.exceptions import ClientError, NoCredentialsError, ParamValidationError

    address = urlsplit(source)
    path = folder / Path(address.path).name
    try:
        boto3.client("s3").download_file(address.netloc, address.path.lstrip("/"), str(path))
    except (NoCredentialsError, ParamValidationError) as error:
        raise UserError(f"{source}: can't be read: {' '.join(str(error).split())}") from error
    except ClientError as error:
        if error.response["ResponseMetadata"].get("HTTPStatusCode", 500) >= 500:
            raise
        raise UserError(f"{source}: can't be read: {error}") from error
    return path


def _open_csv(name: str, path: Path) -> Source:
    malformed: dict[int, str] = {}

    def skip_row(row: pa.csv.InvalidRow) -> str:
        if "\n" in row.text:  # no column has texts of several lines, so a quote isn't closed
            return "error"
        # pyarrow counts the header as row 1.
        malformed[row.number - 1] = (
            f"{row.actual_columns} columns instead of {row.expected_columns}: {row.text[:MAX_TEXT_LENGTH]!r}"
        )
        return "skip"

    columns = [*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS]
    reader = pa.csv.open_csv(
        path,
        # With more than one thread pyarrow doesn't give the number of a malformed row. Text that isn't UTF-8 ends the
        # reading before it is parsed: pyarrow couldn't give it to skip_row, and would print a traceback. pyarrow checks
        # every encoding but `utf-8`.
        read_options=pa.csv.ReadOptions(block_size=BATCH_BYTES, use_threads=False, encoding="utf-8-sig"),
        parse_options=pa.csv.ParseOptions(invalid_row_handler=skip_row),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()),
            strings_can_be_null=False,  # `parsing` decides for all formats which texts mean null
        ),
    )
    _check_columns(name, reader.schema.names)
    return Source(name, iter(reader), malformed)


def _open_parquet(name: str, path: Path) -> Source:
    file = pa.parquet.ParquetFile(path)
    _check_columns(name, file.schema_arrow.names)
    return Source(name, file.iter_batches(batch_size=BATCH_ROWS))


def _check_columns(source: str, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"{source}: the header has {_quoted(twice)} more than once. Keep one of them.")
    missing = [name for name in REQUIRED_COLUMNS if name not in names]
    unknown = [name for name in names if name not in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)]
    if missing or unknown:
        wrong = [f"lacks {_quoted(missing)}"] * bool(missing) + [f"has unknown {_quoted(unknown)}"] * bool(unknown)
        raise UserError(
            f"{source}: the header {' and '.join(wrong)}. "
            f"Required are {_quoted(REQUIRED_COLUMNS)}; allowed beside them {_quoted(OPTIONAL_COLUMNS)}."
        )


def _quoted(names: list[str] | tuple[str, ...]) -> str:
    shown = [repr(name[:MAX_NAME_LENGTH]) for name in names[:MAX_NAMES]]
    return ", ".join([*shown, f"and {len(names) - MAX_NAMES:,} more"] if names[MAX_NAMES:] else shown)


def _explain(error: Exception) -> str:
    text = str(error)
    if "Empty CSV file" in text:
        return "the file is empty. It needs a header and rows."
    if isinstance(error, UnicodeDecodeError) or "UTF8" in text or "UTF-8" in text:
        return f"the file isn't UTF-8 ({text}): it is binary, or text in another encoding. Save it as UTF-8."
    if "CSV parse error" in text:
        return f"a quote isn't closed, or the rows aren't CSV: {text[:MAX_TEXT_LENGTH]}"
    return f"the file is damaged or not what its name says: {text[:MAX_TEXT_LENGTH]}"

"""Open a data source of any known format as a stream of Arrow record batches.

`formats` reads them and checks their columns; `parsing` checks the values.
"""

import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
from psycopg import Connection

from contract.schema import DataContract, Reading
from penguins.data import formats
from penguins.data.formats import MAX_TEXT_LENGTH
from penguins.data.lineage import address_of, place_of
from penguins.data.table_source import export, is_table
from penguins.errors import UserError

FORMATS: Final = "a .csv, .tsv or .jsonl file (each also as .gz), or a .parquet file"

# For the whole process: the system's allocator returns the memory of a batch. Arrow's own keeps 30 MB more.
pa.set_memory_pool(pa.system_memory_pool())


@dataclass
class Source:
    """A source being read. Consuming `batches` fills `malformed`, `size` and `sha256`.

    Attributes:
        name: the source as the user gave it.
        contract: by which it is read; that of a table has no separator and no decimal mark of files.
        batches: record batches in the order of the file, with the contract's columns only.
        malformed: reason by row number (from 1, header not counted), for rows that have other columns or aren't JSON.
        size, sha256: of the file, in bytes and hex.
    """

    name: str
    contract: DataContract
    batches: formats.Batches
    malformed: formats.Malformed = field(default_factory=dict)
    size: int = 0
    sha256: str = ""

    def numbered(self) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
        """Yield the batches with the numbers [n] of their rows; malformed rows have taken a number, too."""
        number = 1
        for batch in self.batches:
            numbers = np.arange(number, number + len(batch) + len(self.malformed), dtype=np.int64)
            numbers = np.setdiff1d(numbers, list(self.malformed), assume_unique=True)[: len(batch)]
            if len(batch):
                number = int(numbers[-1]) + 1
            yield batch, numbers


@contextmanager
def open_source(source: str, contract: DataContract, connection: Connection[Any] | None = None) -> Iterator[Source]:
    """Open `palmerpenguins`, the path of a file, an s3:// address of one, or `table:name` in the pipeline's database.

    Args:
        connection: to that database, for tables.

    Raises:
        UserError: the source can't be read, now or when its batches are taken, or its columns aren't those of the
            contract.
    """
    if is_table(source):
        contract = contract.model_copy(update={"reading": as_exported(contract.reading)})
    with as_local_file(source, connection) as path:
        yield open_file(source, path, contract)


def open_file(name: str, path: Path, contract: DataContract) -> Source:
    """Open a local file; `name` is the source that it comes from, for messages.

    Raises:
        UserError: as for `open_source`.
    """
    with translate_errors(name):
        opened = _open(name, path, contract)
    opened.batches = _read(opened, path, opened.batches)
    return opened


def as_exported(reading: Reading) -> Reading:
    """Return how an exported table is read: it is CSV, however the contract's files are written."""
    return reading.model_copy(update={"separator": None, "decimal_mark": "."})


def _open(name: str, path: Path, contract: DataContract) -> Source:
    malformed: formats.Malformed = {}
    kind = format_of(name, path)
    if kind == "parquet":
        return Source(name, contract, formats.open_parquet(name, path, contract))
    read = formats.open_text if kind == "text" else formats.open_json
    return Source(name, contract, read(name, path, contract, malformed), malformed)


def format_of(name: str, path: Path) -> Literal["text", "json", "parquet"]:
    """Return the format that the name of a file stands for.

    Raises:
        UserError: it stands for none.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = suffixes[-2] if suffixes[-1:] == [".gz"] and suffixes[:-1] else "".join(suffixes[-1:])
    if kind in (".parquet", ".pq") and suffixes[-1] != ".gz":
        return "parquet"
    if kind in (".csv", ".tsv"):
        return "text"
    if kind in (".jsonl", ".ndjson"):
        return "json"
    raise UserError(f"{name}: unknown format {path.suffix!r}. Give {FORMATS}.")


def _read(source: Source, path: Path, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    before = path.stat()
    while True:
        with translate_errors(source.name):
            batch = next(batches, None)
        if batch is None:
            break
        yield batch
    with translate_errors(source.name), path.open("rb") as file:
        source.size, source.sha256 = before.st_size, hashlib.file_digest(file, "sha256").hexdigest()
    now = path.stat()
    if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise UserError(f"{source.name}: the file was changed while it was read. Load it when it is complete.")


@contextmanager
def translate_errors(source: str) -> Iterator[None]:
    """Turn the errors for an unreadable file into a UserError."""
    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError, OSError, EOFError, zlib.error) as error:
        raise UserError(f"{source}: {_explain(error)}") from error


@contextmanager
def as_local_file(source: str, connection: Connection[Any] | None = None) -> Iterator[Path]:
    """Return the path of a source, while the block lasts."""
    if source == "palmerpenguins":
        with resources.as_file(resources.files("palmerpenguins") / "data" / "penguins.csv") as path:
            yield path
    elif source.startswith("s3://"):
        with tempfile.TemporaryDirectory() as folder:
            yield _download(source, Path(folder))
    elif is_table(source):
        with tempfile.TemporaryDirectory() as folder:
            yield export(connection, source, Path(folder))
    elif os.path.isfile(source):  # noqa: PTH113 - Path.is_file() raises for a name that is too long
        yield Path(source)
    elif os.path.isdir(source):  # noqa: PTH112 - as above
        raise UserError(f"{source[:500]}: is a folder. Give the path of one CSV or Parquet file in it.")
    else:
        raise UserError(
            f"{source[:500]}: no such file on the machine that runs the task. "
            "Give `palmerpenguins`, the path of a CSV or Parquet file, an s3:// address, or table:name."
        )


def _download(source: str, folder: Path) -> Path:
    """Download an object. A wrong address or setting is a UserError; an outage of S3 stays botocore's own error."""
    import boto3
    from botocore import exceptions

    (bucket, key), address = place_of(source), address_of(source)
    if not bucket or not key or key.endswith("/"):
        raise UserError(f"{address}: is no file. Give the address of one, such as s3://bucket/folder/file.csv.")
    path = folder / Path(key).name
    try:
        boto3.Session().client("s3").download_file(bucket, key.lstrip("/"), str(path))
    except (
        ValueError,  # of the address of the server
        exceptions.ConfigParseError,
        exceptions.InvalidRegionError,
        exceptions.NoCredentialsError,
        exceptions.ParamValidationError,
        exceptions.PartialCredentialsError,
        exceptions.ProfileNotFound,
    ) as error:
        raise UserError(f"{address}: can't be read: {' '.join(str(error).split())}") from error
    except exceptions.ClientError as error:
        if error.response["ResponseMetadata"].get("HTTPStatusCode", 500) >= 500:
            raise
        raise UserError(f"{address}: can't be read: {error}") from error
    return path


def _explain(error: Exception) -> str:
    text = str(error)
    if "Empty CSV file" in text:
        return "the file is empty. It needs a header and rows."
    if isinstance(error, UnicodeDecodeError) or "UTF8" in text or "UTF-8" in text:
        return f"the file isn't UTF-8 ({text}): it is binary, or text in another encoding. Save it as UTF-8."
    if "CSV parse error" in text or "straddling object" in text:
        return f"a quote isn't closed, or the rows aren't CSV: {' '.join(text.split())[:MAX_TEXT_LENGTH]}"
    return f"the file is damaged or not what its name says: {text[:MAX_TEXT_LENGTH]}"

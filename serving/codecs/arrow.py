"""Tables in Arrow's stream format and in Parquet. Importing this module imports pyarrow."""

import struct
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import IO, Any

import flatbuffers.encode
import flatbuffers.packer
import flatbuffers.table
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from contract.manifest import Contract
from serving.codecs.base import Predictions, Values, outside_names, table_columns
from serving.codecs.errors import InvalidError, listed, problem

CHUNK_ROWS = 16_384
BUFFER_BYTES = 256 * 1024
MAX_MESSAGE_BYTES = 64 * 1024 * 1024

MESSAGE_HEADER, BATCH_COMPRESSION = 8, 10
"""Offsets of fields in the tables `Message` and `RecordBatch`: 4 + 2 * the field's number."""

DAMAGED = (pa.ArrowException, OSError, ValueError, TypeError, LookupError, struct.error)
"""Errors of pyarrow and flatbuffers at a damaged body."""


class _ArrowTables:
    """Record batches in and out, for one model version."""

    def __init__(self, contract: Contract, version: str) -> None:
        self._names = [feature.name for feature in contract.features]
        self._species = contract.species
        self._version = version
        text = pa.dictionary(pa.int32(), pa.string())
        types = [pa.int64(), text, *(pa.float64() for _ in self._species), pa.string(), pa.string()]
        self._schema = pa.schema(list(zip(table_columns(self._species), types, strict=True)))

    def _values(self, batches: Iterator[Any], what: str) -> Iterator[Values]:
        try:
            for batch in batches:
                batch.validate(full=True)  # Lengths and offsets come from the sender, and point into our memory.
                columns = [batch.column(name).cast(pa.float64(), safe=False) for name in self._names]
                yield np.column_stack([column.to_numpy(zero_copy_only=False) for column in columns])
        except DAMAGED as error:
            raise InvalidError(problem("table_invalid", f"the body isn't {what}: {error}")) from error

    def _check_columns(self, schema: Any) -> None:
        if sorted(schema.names) != sorted(self._names):
            found = ", ".join(schema.names)[:200]
            text = f"the columns are {found}: they must be {listed(self._names)}, in any order"
            raise InvalidError(problem("header", text, "header"))
        for field in schema:
            # Not decimals: a cast of one whose scale is damaged reads memory that isn't its own.
            if not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
                text = f"{field.name} is {field.type}: numbers are required, as integers or floats"
                raise InvalidError(problem("float_type", text, field.name))

    def _write(self, open_writer: Callable[[BytesIO], Any], answers: Iterable[Predictions]) -> Iterator[bytes]:
        sink = BytesIO()
        with open_writer(sink) as writer:
            for answer in answers:
                writer.write_batch(self._batch(answer))
                yield _taken(sink)
        yield _taken(sink)

    def _batch(self, answer: Predictions) -> Any:
        species = pa.DictionaryArray.from_arrays(pa.array(answer.labels.astype(np.int32)), self._species)
        columns = [pa.array(answer.labels), species, *(pa.array(column) for column in answer.probabilities.T)]
        outside = outside_names(self._names, answer.outside)
        columns += [pa.array(outside, pa.string()), pa.array([self._version] * len(outside))]
        return pa.record_batch(columns, schema=self._schema)


class ArrowCodec(_ArrowTables):
    """Arrow's stream format, for one model version."""

    def decode(self, body: IO[bytes]) -> Iterator[Values]:
        """Read the rows, a batch at a time; see `Codec.decode`."""
        return self._values(self._batches(body), "an Arrow stream")

    def encode(self, answers: Iterable[Predictions]) -> Iterator[bytes]:
        """Write a row for each row of the request; see `Codec.encode`."""
        return self._write(lambda sink: pa.ipc.new_stream(sink, self._schema), answers)

    def _batches(self, body: IO[bytes]) -> Iterator[Any]:
        with pa.PythonFile(_BoundedFile(body), mode="r") as stream:
            messages = pa.ipc.MessageReader.open_stream(stream)
            first = next(messages, None)
            if first is None:
                raise pa.ArrowInvalid("it is empty")
            _require(first, "schema")  # read_schema and read_record_batch read any message as if it were theirs
            schema = pa.ipc.read_schema(first)
            self._check_columns(schema)
            for message in messages:
                _require(message, "record batch")
                if _is_compressed(message):
                    raise pa.ArrowInvalid("its batches are compressed, to any size: write them without compression")
                yield pa.ipc.read_record_batch(message, schema)


class ParquetCodec(_ArrowTables):
    """Parquet, for one model version."""

    def decode(self, body: IO[bytes]) -> Iterator[Values]:
        """Read the rows, some thousands at a time; see `Codec.decode`."""
        return self._values(self._batches(body), "Parquet")

    def encode(self, answers: Iterable[Predictions]) -> Iterator[bytes]:
        """Write a row for each row of the request; see `Codec.encode`."""
        return self._write(lambda sink: pq.ParquetWriter(sink, self._schema), answers)

    def _batches(self, body: IO[bytes]) -> Iterator[Any]:
        with pq.ParquetFile(body, buffer_size=BUFFER_BYTES) as parquet:
            self._check_columns(parquet.schema_arrow)
            _check_sizes(parquet.metadata)
            yield from parquet.iter_batches(CHUNK_ROWS, use_threads=False)


class _BoundedFile:
    """A file that refuses to read more than a batch may have.

    Batches are read as a whole, and pyarrow allocates as much memory as the sender claims will follow.
    """

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        if size > MAX_MESSAGE_BYTES:
            raise pa.ArrowInvalid(f"a batch has more than {MAX_MESSAGE_BYTES} bytes: send smaller ones")
        return self._file.read(size)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        """Leave the file open for its owner."""


def _check_sizes(metadata: Any) -> None:
    """Refuse row groups that would fill the memory once unpacked: each is read as a whole."""
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        size = sum(group.column(column).total_uncompressed_size for column in range(group.num_columns))
        if size > MAX_MESSAGE_BYTES:
            raise pa.ArrowInvalid(f"a row group has more than {MAX_MESSAGE_BYTES} bytes: write smaller ones")


def _require(message: Any, kind: str) -> None:
    if message.type != kind:
        raise pa.ArrowInvalid(f"it has a {message.type} in the place of a {kind}")


def _is_compressed(message: Any) -> bool:
    """Return whether a record batch is compressed, from its header (Message.fbs of Arrow): pyarrow doesn't tell."""
    content = message.metadata.to_pybytes()
    table = flatbuffers.table.Table(content, flatbuffers.encode.Get(flatbuffers.packer.uoffset, content, 0))
    header = flatbuffers.table.Table(content, table.Indirect(table.Pos + table.Offset(MESSAGE_HEADER)))
    return bool(header.Offset(BATCH_COMPRESSION))


def _taken(sink: BytesIO) -> bytes:
    """Return the content of `sink`, and empty it."""
    content = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return content

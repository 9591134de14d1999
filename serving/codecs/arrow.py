"""Tables in Arrow's stream format and in Parquet. Importing this module imports pyarrow."""

from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import IO, Any

import flatbuffers.encode
import flatbuffers.packer
import flatbuffers.table
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from serving.codecs.csv import COLUMNS, outside_names
from serving.codecs.errors import InvalidError, listed, problem
from serving.codecs.measurements import Values
from serving.inference.contract import FEATURES, SPECIES
from serving.inference.prediction import Answer

CHUNK_ROWS = 16_384
BUFFER_BYTES = 256 * 1024
MAX_MESSAGE_BYTES = 64 * 1024 * 1024

MESSAGE_HEADER, BATCH_COMPRESSION = 8, 10
"""Where fields are in the tables `Message` and `RecordBatch`: 4 + 2 * the field's number."""

_TEXT = pa.dictionary(pa.int8(), pa.string())
_TYPES = [pa.int8(), _TEXT, *(pa.float64() for _ in SPECIES), pa.string(), pa.string()]
SCHEMA = pa.schema(list(zip(COLUMNS, _TYPES, strict=True)))


class _Bounded:
    """A file that doesn't make room for as much as the sender claims will follow: batches are read as a whole."""

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
        """Leave it to the owner."""


def read_stream(file: IO[bytes]) -> Iterator[Values]:
    """Read the rows [n, 4] of an Arrow stream, a batch at a time.

    Raises:
        InvalidError: it isn't one, or hasn't the columns.
    """

    def batches() -> Iterator[Any]:
        with pa.PythonFile(_Bounded(file), mode="r") as stream:
            messages = pa.ipc.MessageReader.open_stream(stream)
            first = next(messages, None)
            if first is None:
                raise pa.ArrowInvalid("it is empty")
            schema = pa.ipc.read_schema(first)
            _check_columns(schema)
            for message in messages:
                if _is_compressed(message):
                    raise pa.ArrowInvalid("its batches are compressed, to any size: write them without compression")
                yield pa.ipc.read_record_batch(message, schema)

    return _values(batches, "an Arrow stream")


def read_parquet(file: IO[bytes]) -> Iterator[Values]:
    """Read the rows [n, 4] of a Parquet file, some thousands at a time.

    Raises:
        InvalidError: it isn't one, or hasn't the columns.
    """

    def batches() -> Iterator[Any]:
        with pq.ParquetFile(file, buffer_size=BUFFER_BYTES) as parquet:
            _check_columns(parquet.schema_arrow)
            _check_sizes(parquet.metadata)
            yield from parquet.iter_batches(CHUNK_ROWS, use_threads=False)

    return _values(batches, "Parquet")


def write_stream(answers: Iterable[Answer], version: str) -> Iterator[bytes]:
    """Write a row for each penguin."""
    return _written(lambda sink: pa.ipc.new_stream(sink, SCHEMA), answers, version)


def write_parquet(answers: Iterable[Answer], version: str) -> Iterator[bytes]:
    """Write a row for each penguin."""
    return _written(lambda sink: pq.ParquetWriter(sink, SCHEMA), answers, version)


def _values(batches: Callable[[], Iterator[Any]], what: str) -> Iterator[Values]:
    try:
        for batch in batches():
            batch.validate(full=True)  # Lengths and offsets are the sender's word for it, and lead into our memory.
            columns = [batch.column(name).cast(pa.float64(), safe=False) for name in FEATURES]
            yield np.column_stack([column.to_numpy(zero_copy_only=False) for column in columns])
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InvalidError(problem("table_invalid", f"the body isn't {what}: {error}")) from error


def _check_columns(schema: Any) -> None:
    if sorted(schema.names) != sorted(FEATURES):
        text = f"the columns are {', '.join(schema.names)[:200]}: wanted are {listed(FEATURES)}, in any order"
        raise InvalidError(problem("header", text, "header"))
    for field in schema:
        kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
        if not any(is_kind(field.type) for is_kind in kinds):
            raise InvalidError(problem("float_type", f"{field.name} is {field.type}: wanted are numbers", field.name))


def _check_sizes(metadata: Any) -> None:
    """Refuse what would fill the memory once it is unpacked: a row group is read as a whole."""
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        size = sum(group.column(column).total_uncompressed_size for column in range(group.num_columns))
        if size > MAX_MESSAGE_BYTES:
            raise pa.ArrowInvalid(f"a row group has more than {MAX_MESSAGE_BYTES} bytes: write smaller ones")


def _is_compressed(message: Any) -> bool:
    """Tell whether a record batch is; pyarrow doesn't say, so this looks into its header (Message.fbs of Arrow)."""
    content = message.metadata.to_pybytes()
    table = flatbuffers.table.Table(content, flatbuffers.encode.Get(flatbuffers.packer.uoffset, content, 0))
    header = flatbuffers.table.Table(content, table.Indirect(table.Pos + table.Offset(MESSAGE_HEADER)))
    return bool(header.Offset(BATCH_COMPRESSION))


def _written(open_writer: Callable[[BytesIO], Any], answers: Iterable[Answer], version: str) -> Iterator[bytes]:
    """Yield what the writer has written since the last time."""
    sink = BytesIO()
    with open_writer(sink) as writer:
        for answer in answers:
            writer.write_batch(_batch(answer, version))
            yield _taken(sink)
    yield _taken(sink)


def _taken(sink: BytesIO) -> bytes:
    content = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return content


def _batch(answer: Answer, version: str) -> Any:
    labels = pa.array(answer.labels.astype(np.int8))
    columns = [labels, pa.DictionaryArray.from_arrays(labels, SPECIES)]
    columns += [pa.array(column) for column in answer.probabilities.T]
    columns += [pa.array(outside_names(answer)), pa.array([version] * len(labels))]
    return pa.record_batch(columns, schema=SCHEMA)

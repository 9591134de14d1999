"""Tables in Arrow's stream format and in Parquet. Importing this module imports pyarrow."""

import struct
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from contract.manifest import Contract
from serving.codecs import arrow_columns, arrow_stream
from serving.codecs.arrow_stream import MAX_MESSAGE_BYTES
from serving.codecs.base import Predictions, Values, outside_names, table_columns
from serving.codecs.errors import InvalidError, listed, problem
from serving.codecs.fields import Field, Fields

CHUNK_ROWS = 16_384
BUFFER_BYTES = 256 * 1024

DAMAGED = (pa.ArrowException, OSError, ValueError, TypeError, LookupError, struct.error)
"""Errors of pyarrow and flatbuffers at a damaged body."""


class _ArrowTables:
    """Record batches in and out, for one model version."""

    def __init__(self, contract: Contract, version: str, prediction_id: str = "", refuse_unknown: bool = True) -> None:
        """Take the version.

        Args:
            prediction_id: id of the request, for the metadata of the answer; empty for none.
            refuse_unknown: whether columns that the model hasn't are an error; else they are ignored.
        """
        self.fields = Fields(contract)
        self._refuse_unknown = refuse_unknown
        self._classes = contract.classes
        self._version = version
        text = pa.dictionary(pa.int32(), pa.string())
        types = [pa.int64(), text, *(pa.float64() for _ in self._classes), pa.string(), pa.string()]
        names = table_columns(contract.answer_key, contract.classes)
        metadata = {"prediction_id": prediction_id} if prediction_id else None
        self._schema = pa.schema(list(zip(names, types, strict=True)), metadata)

    def _values(self, batches: Iterator[Any], what: str) -> Iterator[Values]:
        first = 0
        try:
            for batch in batches:
                batch.validate(full=True)  # Lengths and offsets come from the sender, and point into our memory.
                yield np.column_stack([self._numbers(batch, field, first) for field in self.fields.all])
                first += batch.num_rows
        except DAMAGED as error:
            raise InvalidError(problem("table_invalid", f"the body isn't {what}: {error}")) from error

    def _numbers(self, batch: Any, field: Field, first: int) -> Values:
        if field.name in batch.schema.names:
            return arrow_columns.numbers(field, batch.column(field.name), first)
        return np.full(batch.num_rows, field.missing)

    def _check_columns(self, schema: Any) -> None:
        known = [column for column in schema if column.name in self.fields.by_name]
        if self.fields.lacking(schema.names if self._refuse_unknown else [column.name for column in known]):
            found = ", ".join(schema.names)[:200]
            text = f"the columns are {found}: they must be {listed(self.fields.names)}, in any order"
            raise InvalidError(problem("header", text, "header"))
        for column in known:
            arrow_columns.check_type(self.fields.by_name[column.name], column.type)

    def _write(self, open_writer: Callable[[BytesIO], Any], answers: Iterable[Predictions]) -> Iterator[bytes]:
        sink = BytesIO()
        with open_writer(sink) as writer:
            for answer in answers:
                writer.write_batch(self._batch(answer))
                yield _taken(sink)
        yield _taken(sink)

    def _batch(self, answer: Predictions) -> Any:
        classes = pa.DictionaryArray.from_arrays(pa.array(answer.labels.astype(np.int32)), pa.array(self._classes))
        columns = [pa.array(answer.labels), classes, *(pa.array(column) for column in answer.probabilities.T)]
        outside = outside_names(self.fields.names, answer.outside)
        columns += [pa.array(outside, pa.string()), pa.array([self._version] * len(outside))]
        return pa.record_batch(columns, schema=self._schema)


class ArrowCodec(_ArrowTables):
    """Arrow's stream format, for one model version."""

    def decode(self, body: IO[bytes]) -> Iterator[Values]:
        """Read the rows, a batch at a time; see `TableCodec.decode`."""
        return self._values(arrow_stream.batches(body, self._check_columns), "an Arrow stream")

    def encode(self, answers: Iterable[Predictions]) -> Iterator[bytes]:
        """Write a row for each row of the request; see `TableCodec.encode`."""
        return self._write(lambda sink: pa.ipc.new_stream(sink, self._schema), answers)


class ParquetCodec(_ArrowTables):
    """Parquet, for one model version."""

    def decode(self, body: IO[bytes]) -> Iterator[Values]:
        """Read the rows, some thousands at a time; see `TableCodec.decode`."""
        return self._values(self._batches(body), "Parquet")

    def encode(self, answers: Iterable[Predictions]) -> Iterator[bytes]:
        """Write a row for each row of the request; see `TableCodec.encode`."""
        return self._write(lambda sink: pq.ParquetWriter(sink, self._schema), answers)

    def _batches(self, body: IO[bytes]) -> Iterator[Any]:
        # A text that is repeated in each row is kept once, however long it is.
        texts = [field.name for field in self.fields.all if arrow_columns.is_text(field)]
        with pq.ParquetFile(body, buffer_size=BUFFER_BYTES, read_dictionary=texts) as parquet:
            self._check_columns(parquet.schema_arrow)
            _check_sizes(parquet.metadata)
            names = [name for name in parquet.schema_arrow.names if name in self.fields.by_name]
            columns = None if self._refuse_unknown else names
            yield from parquet.iter_batches(CHUNK_ROWS, columns=columns, use_threads=False)


def _check_sizes(metadata: Any) -> None:
    """Refuse row groups that would fill the memory once unpacked: each is read as a whole."""
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        size = sum(group.column(column).total_uncompressed_size for column in range(group.num_columns))
        if size > MAX_MESSAGE_BYTES:
            raise pa.ArrowInvalid(f"a row group has more than {MAX_MESSAGE_BYTES} bytes: write smaller ones")


def _taken(sink: BytesIO) -> bytes:
    """Return the content of `sink`, and empty it."""
    content = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return content

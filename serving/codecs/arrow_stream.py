"""Read Arrow's stream format from a sender who may be an attacker. Importing this module imports pyarrow."""

from collections.abc import Callable, Iterator
from typing import IO, Any

import flatbuffers.encode
import flatbuffers.packer
import flatbuffers.table
import pyarrow as pa

MAX_MESSAGE_BYTES = 64 * 1024 * 1024

MESSAGE_HEADER, BATCH_COMPRESSION, DICTIONARY_DATA = 8, 10, 6
"""Offsets of fields in the tables `Message`, `RecordBatch` and `DictionaryBatch`: 4 + 2 * the field's number."""


def batches(body: IO[bytes], check: Callable[[Any], None]) -> Iterator[Any]:
    """Yield the record batches of a stream, whose schema `check` has passed.

    Raises:
        pa.ArrowException, OSError, ValueError, TypeError, LookupError, struct.error: the stream is damaged.
    """
    with pa.PythonFile(_BoundedFile(body), mode="r") as stream:
        messages = pa.ipc.MessageReader.open_stream(stream)
        first = next(messages, None)
        if first is None:
            raise pa.ArrowInvalid("it is empty")
        _require(first, "schema")  # read_schema and read_record_batch read any message as if it were theirs
        schema = pa.ipc.read_schema(first)
        check(schema)
        if not any(pa.types.is_dictionary(column.type) for column in schema):
            for message in messages:
                _require(message, "record batch")
                _check_compression(message)
                yield pa.ipc.read_record_batch(message, schema)
            return
        _check_messages(messages)
    # Dictionaries can only be read by a reader of the whole stream, now that each message is known.
    body.seek(0)
    with pa.PythonFile(_BoundedFile(body), mode="r") as stream, pa.ipc.open_stream(stream) as reader:
        yield from reader


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


def _check_messages(messages: Iterator[Any]) -> None:
    """Check the messages after a schema with dictionaries, which stay in memory until the end of the stream."""
    size = 0
    for message in messages:
        if message.type == "dictionary":
            size += message.body.size if message.body else 0
            if size > MAX_MESSAGE_BYTES:
                raise pa.ArrowInvalid(f"its dictionaries have more than {MAX_MESSAGE_BYTES} bytes")
        else:
            _require(message, "record batch")
        _check_compression(message)


def _require(message: Any, kind: str) -> None:
    if message.type != kind:
        raise pa.ArrowInvalid(f"it has a {message.type} in the place of a {kind}")


def _check_compression(message: Any) -> None:
    """Refuse a compressed batch, which doesn't tell its size. Only its header does (Message.fbs of Arrow)."""
    content = message.metadata.to_pybytes()
    table = flatbuffers.table.Table(content, flatbuffers.encode.Get(flatbuffers.packer.uoffset, content, 0))
    header = flatbuffers.table.Table(content, table.Indirect(table.Pos + table.Offset(MESSAGE_HEADER)))
    if message.type == "dictionary":
        header = flatbuffers.table.Table(content, header.Indirect(header.Pos + header.Offset(DICTIONARY_DATA)))
    if header.Offset(BATCH_COMPRESSION):
        raise pa.ArrowInvalid("its batches are compressed, to any size: write them without compression")

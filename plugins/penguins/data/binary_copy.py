"""Encode Arrow record batches in the binary format of PostgreSQL's COPY, without turning numbers into text.

https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format". A row is the number of its
fields (int16) and its fields; a field is its length (int32, -1 for null) and its bytes. All numbers are big-endian.
"""

import struct
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

HEADER: Final = struct.pack(">11sii", b"PGCOPY\n\xff\r\n\0", 0, 0)
TRAILER: Final = struct.pack(">h", -1)

_NULL: Final = struct.pack(">i", -1)
_NUMBERS: Final = {pa.int32(): ">i4", pa.int64(): ">i8", pa.float64(): ">f8"}
_BOOLEAN: Final = pa.array([_NULL, struct.pack(">i?", 1, False), struct.pack(">i?", 1, True)], pa.binary())
_REAL: Final = 700  # PostgreSQL's number of the type
# PostgreSQL counts from 2000: days between the epochs, for dates and for times in microseconds.
_DAYS: Final = 10_957
_MICROSECONDS: Final = _DAYS * 86_400_000_000


def encode(batch: pa.RecordBatch) -> memoryview:
    """Encode the rows of `batch`, without header and trailer.

    Columns are int32, int64, float64, booleans, dates, times in microseconds, texts, dictionaries of text, or lists of
    one length of float32, which are never null.
    """
    fields = [_fields(column) for column in batch.columns]
    count = pa.scalar(struct.pack(">h", len(fields)))
    rows = pc.binary_join_element_wise(count, *fields, pa.scalar(b""))
    start, end = rows.offset, rows.offset + len(rows)
    offsets = np.frombuffer(rows.buffers()[1], dtype=np.int32)
    return memoryview(rows.buffers()[2])[offsets[start] : offsets[end]]


def _fields(column: pa.Array) -> pa.Array:
    if pa.types.is_date32(column.type):
        return _numbers(pc.subtract(column.cast(pa.int32()), pa.scalar(_DAYS, pa.int32())))
    if pa.types.is_timestamp(column.type):
        return _numbers(pc.subtract(column.cast(pa.int64()), _MICROSECONDS))
    if pa.types.is_boolean(column.type):
        return _BOOLEAN.take(pc.add(column.cast(pa.int8()), pa.scalar(1, pa.int8())).fill_null(0))
    if pa.types.is_fixed_size_list(column.type):
        return _arrays(column)
    if pa.types.is_string(column.type):
        return _texts(column)
    return _numbers(column) if column.type in _NUMBERS else _dictionary(column)


def _numbers(column: pa.Array) -> pa.Array:
    kind = np.dtype(_NUMBERS[column.type])
    fields = np.empty(len(column), dtype=[("length", ">i4"), ("value", kind)])
    fields["length"] = kind.itemsize
    fields["value"] = column.fill_null(0).to_numpy()
    return pc.if_else(column.is_valid(), _of_one_size(fields), _NULL)


def _of_one_size(fields: np.ndarray) -> pa.Array:
    """Return each element of an array as its bytes."""
    offsets = np.arange(len(fields) + 1, dtype=np.int32) * fields.itemsize
    return pa.Array.from_buffers(pa.binary(), len(fields), [None, pa.py_buffer(offsets), pa.py_buffer(fields)])


def _arrays(column: pa.FixedSizeListArray) -> pa.Array:
    number = column.type.list_size
    value = np.dtype([("length", ">i4"), ("value", ">f4")])
    head = [
        ("length", ">i4"),
        ("dimensions", ">i4"),
        ("nulls", ">i4"),
        ("type", ">i4"),
        ("number", ">i4"),
        ("first", ">i4"),
    ]
    fields = np.empty(len(column), dtype=[*head, ("values", value, (number,))])
    for name, content in (("dimensions", 1), ("nulls", 0), ("type", _REAL), ("number", number), ("first", 1)):
        fields[name] = content
    fields["length"] = fields.itemsize - 4
    fields["values"]["length"] = 4
    fields["values"]["value"] = column.flatten().to_numpy().reshape(-1, number)
    return _of_one_size(fields)


def _texts(column: pa.StringArray) -> pa.Array:
    lengths = pc.binary_length(column).fill_null(0).to_numpy().astype(">i4")
    content = column.cast(pa.binary()).fill_null(b"")
    encoded = pc.binary_join_element_wise(_of_one_size(lengths), content, pa.scalar(b""))
    return pc.if_else(column.is_valid(), encoded, _NULL)


def _dictionary(column: pa.DictionaryArray) -> pa.Array:
    texts = [None if text is None else text.encode() for text in column.dictionary.to_pylist()]
    fields = pa.array([_NULL if text is None else struct.pack(">i", len(text)) + text for text in texts], pa.binary())
    return fields.take(column.indices).fill_null(_NULL)

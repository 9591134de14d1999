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


def encode(batch: pa.RecordBatch) -> memoryview:
    """Encode the rows of `batch`, without header and trailer.

    Columns are int32, int64, float64 or dictionaries of text.
    """
    fields = [_numbers(column) if column.type in _NUMBERS else _texts(column) for column in batch.columns]
    count = pa.scalar(struct.pack(">h", len(fields)))
    rows = pc.binary_join_element_wise(count, *fields, pa.scalar(b""))
    start, end = rows.offset, rows.offset + len(rows)
    offsets = np.frombuffer(rows.buffers()[1], dtype=np.int32)
    return memoryview(rows.buffers()[2])[offsets[start] : offsets[end]]


def _numbers(column: pa.Array) -> pa.Array:
    kind = np.dtype(_NUMBERS[column.type])
    fields = np.empty(len(column), dtype=[("length", ">i4"), ("value", kind)])
    fields["length"] = kind.itemsize
    fields["value"] = column.fill_null(0).to_numpy()
    offsets = np.arange(len(column) + 1, dtype=np.int32) * fields.itemsize
    encoded = pa.Array.from_buffers(pa.binary(), len(column), [None, pa.py_buffer(offsets), pa.py_buffer(fields)])
    return pc.if_else(column.is_valid(), encoded, _NULL)


def _texts(column: pa.DictionaryArray) -> pa.Array:
    texts = [None if text is None else text.encode() for text in column.dictionary.to_pylist()]
    fields = pa.array([_NULL if text is None else struct.pack(">i", len(text)) + text for text in texts], pa.binary())
    return fields.take(column.indices).fill_null(_NULL)

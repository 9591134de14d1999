"""Damaged tables, made from sound ones by chance."""

import io
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from serving.codecs.media_types import ARROW, CSV, PARQUET
from serving.inference.contract import FEATURES

MAX_CHANGES = 4
ROWS = 50
LIKELY = (0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF)
"""Bytes that turn lengths and offsets into the least and the greatest ones."""

Body = tuple[str, bytes]
"""Media type and content."""


def sound() -> dict[str, list[bytes]]:
    """Return small tables of each media type."""
    floats = pa.table({name: np.arange(1.0, ROWS + 1) for name in FEATURES})
    decimals = pa.table({name: pa.array([Decimal("39.10")], pa.decimal128(30, 2)) for name in FEATURES})
    plain = {"use_dictionary": False, "compression": "none"}
    lines = [",".join(FEATURES), *(",".join(map(str, row.values())) for row in floats.to_pylist())]
    return {
        CSV: ["\n".join(lines).encode()],
        ARROW: [arrow(floats), arrow(decimals)],
        PARQUET: [parquet(floats, **plain), parquet(floats), parquet(decimals)],
    }


def arrow(table: Any) -> bytes:
    """Return a table as an Arrow stream."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def parquet(table: Any, **options: Any) -> bytes:
    """Return a table as Parquet."""
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def damaged(seed: int) -> Iterator[Body]:
    """Yield tables without end: each with some bytes changed, and some cut off."""
    chance, bodies = random.Random(seed), sound()  # noqa: S311 - the same ones each time
    while True:
        media_type = chance.choice(list(bodies))
        body = bytearray(chance.choice(bodies[media_type]))
        for _ in range(chance.randint(1, MAX_CHANGES)):
            place = int(len(body) * chance.random() ** 2)  # headers are at the beginning, in Parquet at the end
            body[-1 - place if media_type == PARQUET else place] = chance.choice([*LIKELY, chance.randrange(256)])
        if chance.random() < 0.1:
            del body[chance.randrange(len(body)) :]
        yield media_type, bytes(body)

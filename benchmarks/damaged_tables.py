"""Damaged tables, made from sound ones by chance."""

import io
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.thrift import integers, signed, varint
from penguins.data.contract import FEATURE_NAMES as FEATURES
from serving.codecs.media_types import ARROW, CSV, PARQUET

MAX_CHANGES = 4
ROWS = 50
LIKELY = (0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF)
"""Bytes that turn lengths and offsets into the least and the greatest ones."""
EXTREME = (0, 1, -1, 2, 7, 63, 64, 65, 255, 2**15, 2**16, 2**31 - 1, 2**31, -(2**31), 2**32, 2**62, 2**63 - 1, -(2**63))
"""Lengths, offsets and numbers that readers seldom see."""

Body = tuple[str, bytes]
"""Media type and content."""
Change = Callable[[bytearray, random.Random], None]


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


def _others() -> dict[str, list[bytes]]:
    """Return tables with missing values, other widths and encodings, and several batches or row groups."""
    columns = dict(zip(FEATURES, (pa.int8(), pa.uint16(), pa.float32(), pa.int64()), strict=True))
    mixed = pa.table({name: pa.array([1, None, 3, 4] * 25, kind) for name, kind in columns.items()})
    words = pa.table({name: pa.array(["1", "2", None] * 20).dictionary_encode() for name in FEATURES})
    split = {"use_dictionary": False, "column_encoding": dict.fromkeys(FEATURES, "BYTE_STREAM_SPLIT")}
    floats = pa.table({name: np.linspace(1, 9, 100, dtype=np.float32) for name in FEATURES})
    deltas = {"use_dictionary": False, "column_encoding": dict.fromkeys(FEATURES, "DELTA_BINARY_PACKED")}
    whole = pa.table({name: np.arange(300) % 7 + 1 for name in FEATURES})
    return {
        CSV: [],
        ARROW: [arrow(mixed, max_chunksize=30), arrow(words)],
        PARQUET: [
            parquet(mixed, row_group_size=30, data_page_size=64),
            parquet(mixed, data_page_version="2.0", compression="zstd", write_page_index=True),
            parquet(floats, **split, compression="gzip"),
            parquet(whole, **deltas, compression="none", row_group_size=100),
            parquet(words, compression="none"),
        ],
    }


def arrow(table: Any, **options: Any) -> bytes:
    """Return a table as an Arrow stream."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, **options)
    return sink.getvalue()


def parquet(table: Any, **options: Any) -> bytes:
    """Return a table as Parquet."""
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def damaged(seed: int) -> Iterator[Body]:
    """Yield tables without end: some with changed bytes, some with changed lengths and offsets, some cut off."""
    chance = random.Random(seed)  # noqa: S311 - the same ones each time
    bodies = {media_type: [*small, *_others()[media_type]] for media_type, small in sound().items()}
    pages = {body: _pages(body) for body in bodies[PARQUET]}
    while True:
        (media_type,) = chance.choices(list(bodies), (1, 2, 3))  # native code has the bugs
        original = chance.choice(bodies[media_type])
        body = bytearray(original)
        changes: dict[str, list[Change]] = {
            CSV: [_change_bytes],
            ARROW: [_change_bytes, _change_words],
            PARQUET: [_change_last_bytes, partial(_change_thrift, pages.get(original, []))],
        }
        change = chance.choice(changes[media_type])
        for _ in range(chance.randint(1, MAX_CHANGES)):
            change(body, chance)
        if chance.random() < 0.05:
            del body[chance.randrange(len(body)) :]
        yield media_type, bytes(body)


def _change_bytes(body: bytearray, chance: random.Random) -> None:
    """Change a byte, rather near the beginning, where headers are."""
    body[int(len(body) * chance.random() ** 2)] = chance.choice([*LIKELY, chance.randrange(256)])


def _change_last_bytes(body: bytearray, chance: random.Random) -> None:
    """Change a byte, rather near the end, where Parquet has its footer."""
    body[-1 - int(len(body) * chance.random() ** 2)] = chance.choice([*LIKELY, chance.randrange(256)])


def _change_words(body: bytearray, chance: random.Random) -> None:
    """Change an aligned number, as all lengths and offsets of Arrow are, to an extreme or a close one."""
    size = chance.choice((2, 4, 4, 8, 8))
    place = chance.randrange(len(body) // size) * size
    before = int.from_bytes(body[place : place + size], "little", signed=True)
    value = _other(before, chance) % 2 ** (8 * size)
    body[place : place + size] = value.to_bytes(size, "little")


def _change_thrift(pages: list[int], body: bytearray, chance: random.Random) -> None:
    """Change a number in the footer, in the header of a page, or a byte of its levels, widths and dictionary's ids."""
    footer = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
    start = chance.choice([footer, *pages]) if chance.random() < 0.6 else footer
    try:
        places = integers(bytes(body), start)
        begin, end = chance.choice(places)
    except IndexError:  # an earlier change has led out of the file
        return
    number = varint(signed(_other(0, chance)) % 2**64)
    if start == footer:
        body[begin:end] = number
        body[-8:-4] = (len(body) - 8 - footer).to_bytes(4, "little")
    elif chance.random() < 0.3:
        body[places[-1][1] + chance.randrange(1, 24)] = chance.choice([*LIKELY, chance.randrange(256)])
    else:  # without moving what follows
        body[begin : begin + len(number)] = number


def _pages(body: bytes) -> list[int]:
    """Return where the first pages of each column of a sound table begin."""
    metadata = pq.ParquetFile(io.BytesIO(body)).metadata
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    columns = [group.column(number) for group in groups for number in range(metadata.num_columns)]
    found = [place for column in columns for place in (column.dictionary_page_offset, column.data_page_offset)]
    return [place for place in found if place is not None]


def _other(before: int, chance: random.Random) -> int:
    return chance.choice([*EXTREME, before + 1, before - 1, before * 2, before + 8, -before, chance.randrange(2**16)])

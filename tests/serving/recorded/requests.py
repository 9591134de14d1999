"""Ten thousand requests for predictions, the same ones each time."""

import io
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from serving.codecs.media_types import ARROW, CSV, JSON, PARQUET

FEATURES = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")
RANGES = ((28, 65), (12, 23), (165, 240), (2500, 6500))
TYPICAL = (39.1, 18.7, 181, 3750)

Request = tuple[str, bytes]
"""Media type and body."""

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, "39.1", "", "x" * 80, [1], [], {}, {"a": 1}, 0, 0.0, -0.0, -1, 1e-320, 1e39, 1e308, 10**40,
    float("nan"), float("inf"), -float("inf"), "é🐧", 3.4e38, 3.5e38,
)  # fmt: skip
ODD_BODIES = (
    b"", b" ", b"{", b"{}", b"[", b"[]", b" [ ] ", b"[{}]", b"[null]", b"null", b"39.1", b'"text"', b"\xff", b"[\xff]",
    b"[1,", b"[]]", b"[" * 5000, b'{"\\ud800": 1}', b"\xef\xbb\xbf[]", b"[[1, 2, 3, 4]]", b'[{"a":', b"{}{}", b"NaN",
    b'[{"x": "' + b"y" * 20_000 + b'"}]', b'{"x": "' + b"y" * 20_000 + b'"}', b"[" + b"9" * 3000 + b"]",
)  # fmt: skip
ODD_TABLES = (
    b"", b"\n", b"1,2,3,4\n", b"\xff\xfe", b'"a', ",".join(FEATURES).encode(),
    b",".join(name.encode() for name in FEATURES) + b"\n" + b"1" * 70_000,
)  # fmt: skip
ODD_CELLS = ("", "NA", "nan", "inf", "-1", "0", "1e39", "3_9", '"39,1"', "39,1", "x", '"', " 39.1 ", "٣٩", "0x27")


def recorded() -> Iterator[tuple[str, Request]]:
    """Yield the requests, each with the name of its kind."""
    chance = random.Random(13)  # noqa: S311 - the same ones each time
    for kind, (number, make) in KINDS.items():
        for _ in range(number):
            yield kind, make(chance)


def penguin(chance: random.Random) -> dict[str, float]:
    """Return measurements with one digit, a sixth of them a little outside of the usual."""
    widen = 0.4 if chance.random() < 1 / 6 else 0
    values = (chance.uniform(low - widen * low, high + widen * high) for low, high in RANGES)
    digits = chance.choice((0, 1, 1, 1, 17))
    return {name: round(value, digits) for name, value in zip(FEATURES, values, strict=True)}


def penguins(chance: random.Random) -> list[dict[str, float]]:
    """Return up to thirty."""
    return [penguin(chance) for _ in range(chance.randint(1, 30))]


def shuffled(chance: random.Random) -> list[str]:
    """Return the features in any order."""
    return chance.sample(FEATURES, len(FEATURES))


def one(chance: random.Random) -> Request:
    """Return one penguin, its fields in any order."""
    found = penguin(chance)
    return JSON, json.dumps({name: found[name] for name in shuffled(chance)}).encode()


def many(chance: random.Random) -> Request:
    """Return a list."""
    return JSON, json.dumps(penguins(chance), indent=chance.choice((None, 1))).encode()


def csv(chance: random.Random) -> Request:
    """Return a table in CSV, in one of its forms."""
    names, rows, end = shuffled(chance), penguins(chance), chance.choice(("\n", "\r\n"))
    lines = [",".join(names), *(",".join(str(row[name]) for name in names) for row in rows)]
    return CSV, (chance.choice(("", "\ufeff")) + end.join(lines) + chance.choice(("", end))).encode()


def columns(chance: random.Random) -> pa.Table:
    """Return a table, sometimes of integers or of small floats."""
    kind = chance.choice((pa.float64(), pa.float32(), pa.int64(), pa.float16()))
    rows = penguins(chance)
    made = {name: pa.array([row[name] for row in rows]).cast(kind, safe=False) for name in shuffled(chance)}
    return pa.table(made)


def arrow(chance: random.Random) -> Request:
    """Return an Arrow stream of small batches."""
    return ARROW, as_arrow(columns(chance), chance.randint(1, 30))


def parquet(chance: random.Random) -> Request:
    """Return a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(columns(chance), sink)
    return PARQUET, sink.getvalue()


def as_arrow(table: pa.Table, batch_rows: int) -> bytes:
    """Return a table as an Arrow stream."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=batch_rows)
    return sink.getvalue()


def wrong_value(chance: random.Random) -> Request:
    """Return JSON with odd values, unknown fields or missing ones."""
    rows: list[dict[str, Any]] = penguins(chance)
    row = chance.choice(rows)
    for name in chance.sample(FEATURES, chance.randint(1, 3)):
        row[name] = chance.choice(ODD_VALUES)
    if chance.random() < 0.2:
        row[chance.choice(("island", "sex", "é🐧", "", "Bill_length_mm"))] = chance.choice(ODD_VALUES)
    if chance.random() < 0.2:
        row.pop(chance.choice(FEATURES), None)
    return JSON, json.dumps(row if chance.random() < 0.5 else rows).encode()


def wrong_body(chance: random.Random) -> Request:
    """Return a body that isn't JSON, or isn't a penguin."""
    if chance.random() < 0.5:
        return JSON, chance.choice(ODD_BODIES)
    _, body = one(chance)
    return JSON, body[: chance.randrange(len(body))]


def wrong_csv(chance: random.Random) -> Request:
    """Return CSV that can't be read, or with odd cells."""
    if chance.random() < 0.2:
        return CSV, chance.choice(ODD_TABLES)
    names, rows = shuffled(chance), penguins(chance)
    if chance.random() < 0.2:
        names = [*names[1:], chance.choice(("", "island", names[0].upper(), names[1]))]
    cells = [[str(value) for value in row.values()] for row in rows]
    chance.choice(cells)[chance.randrange(4)] = chance.choice(ODD_CELLS)
    return CSV, "\n".join([",".join(names), *map(",".join, cells)]).encode()


def wrong_arrow(chance: random.Random) -> Request:
    """Return an Arrow stream with another column, type or value."""
    table = columns(chance)
    name, number = chance.choice(FEATURES), len(table)
    others: list[Any] = [
        pa.array(["a"] * number), pa.array([True] * number), pa.array([None] * number, pa.float64()),
        pa.array([-1.0] * number), pa.array([float("inf")] * number), pa.array([1e39] * number),
        pa.array([[1]] * number),
        pa.array([0] * number, pa.timestamp("s")), pa.array([None] * number, pa.null()),
        pa.array(["1"] * number).dictionary_encode(),
    ]  # fmt: skip
    change = chance.randrange(4)
    if change == 0:
        table = table.drop_columns([name])
    elif change == 1:
        table = table.append_column(chance.choice(("island", name.upper())), pa.array([1] * number))
    else:
        table = table.set_column(table.schema.get_field_index(name), name, chance.choice(others))
    return ARROW, as_arrow(table, 10)


KINDS: dict[str, tuple[int, Callable[[random.Random], Request]]] = {
    "one": (4700, one),
    "list": (1500, many),
    "csv": (800, csv),
    "arrow": (300, arrow),
    "parquet": (100, parquet),
    "wrong_value": (1600, wrong_value),
    "wrong_body": (400, wrong_body),
    "wrong_csv": (400, wrong_csv),
    "wrong_arrow": (200, wrong_arrow),
}
"""Name → number of requests, and the function that makes one."""

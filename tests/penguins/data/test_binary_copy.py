from typing import Any

import numpy as np
import pyarrow as pa
from psycopg import Connection

from penguins.data import binary_copy

NAMES = ["Adelie", None, "", 'Pygoscelis, "gentoo"\t\\N', "Königspinguin 🐧"]
ROWS: list[dict[str, Any]] = [
    {"whole": number, "long": -(2**62) if number else None, "real": real, "name": name}
    for number, (real, name) in enumerate(zip([0.1, None, float("inf"), -0.0, 1e-300], NAMES, strict=True))
] + [{"whole": None, "long": 7, "real": 181.0, "name": "Adelie"}]
SCHEMA = pa.schema(
    [
        ("whole", pa.int32()),
        ("long", pa.int64()),
        ("real", pa.float64()),
        ("name", pa.dictionary(pa.int32(), pa.string())),
    ]
)


def copied(connection: Connection[Any], *batches: pa.RecordBatch) -> list[tuple[Any, ...]]:
    connection.execute("CREATE TEMPORARY TABLE copied (whole integer, long bigint, real double precision, name text)")
    with connection.cursor() as cursor, cursor.copy("COPY copied FROM STDIN (FORMAT binary)") as copy:
        copy.write(binary_copy.HEADER)
        for batch in batches:
            copy.write(binary_copy.encode(batch))
        copy.write(binary_copy.TRAILER)
    return connection.execute("SELECT * FROM copied").fetchall()


def test_postgres_reads_what_was_encoded(connection: Connection[Any]) -> None:
    batch = pa.RecordBatch.from_pylist(ROWS, SCHEMA)
    expected = [tuple(row.values()) for row in ROWS]
    # A slice keeps the buffers of the whole batch. The other rows must not be encoded.
    assert copied(connection, batch, batch.slice(2, 3), batch.slice(0, 0)) == expected + expected[2:5]


def test_postgres_reads_plain_texts_and_lists(connection: Connection[Any]) -> None:
    lists = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(12, dtype=np.float32) / 8), 2)
    batch = pa.record_batch([pa.array([*NAMES, "Adelie"]), lists], names=["name", "shares"])
    expected = [(name, [index / 4, index / 4 + 0.125]) for index, name in enumerate([*NAMES, "Adelie"])]
    connection.execute("CREATE TEMPORARY TABLE lists (name text, shares real[])")
    with connection.cursor() as cursor, cursor.copy("COPY lists FROM STDIN (FORMAT binary)") as copy:
        copy.write(binary_copy.HEADER)
        for part in (batch, batch.slice(1, 3), batch.slice(0, 0)):
            copy.write(binary_copy.encode(part))
        copy.write(binary_copy.TRAILER)
    assert connection.execute("SELECT * FROM lists").fetchall() == expected + expected[1:4]

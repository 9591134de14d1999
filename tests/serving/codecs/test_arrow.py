"""Arrow streams and Parquet files are judged by their header before a value is read."""

import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.manifest import Contract
from serving.codecs.errors import InvalidError
from serving.codecs.media_types import ARROW, PARQUET, table_codec

ONE = Contract.model_validate({"features": [{"name": "a", "unit": "mm", "min": 1, "max": 2}], "species": ["x", "y"]})


def encoded(column: Any, media_type: str) -> bytes:
    """Return a table with one column."""
    table, sink = pa.table({"a": column}), io.BytesIO()
    if media_type == PARQUET:
        pq.write_table(table, sink)
    else:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    return sink.getvalue()


def refusal(body: bytes, media_type: str) -> str:
    """Return the message of the refusal of a body."""
    with pytest.raises(InvalidError) as refused:
        list(table_codec(media_type, ONE, "1").decode(io.BytesIO(body)))
    return str(refused.value)


@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
@pytest.mark.parametrize(
    "column",
    [
        pa.array([Decimal("39.10")], pa.decimal128(30, 2)),
        pa.array([[1.0]]),
        pa.array([{"b": 1.0}]),
        pa.array([1], pa.timestamp("s")),
        pa.array([True]),
    ],
    ids=lambda column: str(column.type),
)
def test_other_types_than_integers_and_floats_are_refused(column: Any, media_type: str) -> None:
    assert "numbers are required, as integers or floats" in refusal(encoded(column, media_type), media_type)


def messages() -> Iterator[bytes]:
    """Yield the messages of a stream: the schema, and a batch."""
    for message in pa.ipc.MessageReader.open_stream(encoded(pa.array([39.1]), ARROW)):
        yield message.serialize().to_pybytes()


def test_stream_that_begins_with_a_batch_is_refused() -> None:
    _, batch = messages()
    expected = "the body isn't an Arrow stream: it has a record batch in the place of a schema"
    assert refusal(batch, ARROW) == expected


def test_second_schema_is_refused() -> None:
    schema, _ = messages()
    expected = "the body isn't an Arrow stream: it has a schema in the place of a record batch"
    assert refusal(schema + schema, ARROW) == expected


@pytest.mark.parametrize("changes", [{22: 8, 62: 4}, {33: 255, 63: 255}, {16: 8, 43: 8}])
def test_batch_whose_header_points_elsewhere_is_refused(changes: dict[int, int]) -> None:
    schema, batch = messages()
    body = bytearray(batch)
    for place, value in changes.items():
        body[place] = value
    refusal(schema + body, ARROW)

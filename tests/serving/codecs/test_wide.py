"""The codecs of a model with two hundred features and as many classes."""

import csv
import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.manifest import Contract
from serving.codecs.base import Predictions, outside_names
from serving.codecs.json import JsonCodec
from serving.codecs.media_types import ARROW, CSV, PARQUET, table_codec

NAMES = [f"feature_{number:03}" for number in range(200)]
SPECIES = [f"species_{number:03}" for number in range(200)]
WIDE = Contract.model_validate(
    {
        "features": [{"name": name, "unit": "mm", "min": 1.0, "max": 2.0} for name in NAMES],
        "species": SPECIES,
    }
)
ROWS = np.random.default_rng(1).uniform(1, 2, (50, 200)).round(15)


def predictions() -> Predictions:
    """Return the last class for every row, with all values of the second row outside the range."""
    probabilities = np.zeros((50, 200))
    probabilities[:, 199] = 1
    outside = np.zeros((50, 200), dtype=np.bool_)
    outside[1] = True
    outside[2, [0, 199]] = True
    return Predictions(ROWS, np.full(50, 199), probabilities, outside)


def encode(rows: np.ndarray, media_type: str) -> bytes:
    """Return a table with the columns in reverse order."""
    table = pa.table(dict(zip(NAMES[::-1], rows.T[::-1], strict=True)))
    sink = io.BytesIO()
    if media_type == PARQUET:
        pq.write_table(table, sink)
    elif media_type == ARROW:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    else:
        text = io.StringIO()
        csv.writer(text).writerows([NAMES[::-1], *rows[:, ::-1].tolist()])
        return text.getvalue().encode()
    return sink.getvalue()


def decode(content: bytes, media_type: str) -> list[dict[str, Any]]:
    """Return the rows of an answer."""
    if media_type == CSV:
        return list(csv.DictReader(io.StringIO(content.decode())))
    read = pq.read_table(io.BytesIO(content)) if media_type == PARQUET else pa.ipc.open_stream(content).read_all()
    assert read.schema.field("prediction").type == pa.int64()
    rows: list[dict[str, Any]] = read.to_pylist()
    return rows


@pytest.mark.parametrize("media_type", [CSV, ARROW, PARQUET])
def test_rows_have_the_order_of_the_contract(media_type: str) -> None:
    codec = table_codec(media_type, WIDE, "7")
    read = np.vstack(list(codec.decode(io.BytesIO(encode(ROWS, media_type)))))
    np.testing.assert_array_equal(read, ROWS)


@pytest.mark.parametrize("media_type", [CSV, ARROW, PARQUET])
def test_a_table_of_predictions_names_what_is_outside(media_type: str) -> None:
    codec = table_codec(media_type, WIDE, "7")
    answers = decode(b"".join(codec.encode([predictions()])), media_type)
    assert [answer["outside_training_range"] for answer in answers[:4]] == [
        "", " ".join(NAMES), "feature_000 feature_199", "",
    ]  # fmt: skip
    assert {(str(answer["prediction"]), answer["species"], answer["model_version"]) for answer in answers} == {
        ("199", "species_199", "7")
    }
    assert float(answers[0]["probability_species_199"]) == 1


def test_json_reads_an_object_and_a_list_of_objects() -> None:
    codec = JsonCodec(WIDE, "7")
    objects = [dict(zip(NAMES, row, strict=True)) for row in ROWS.tolist()]
    assert codec.read(json.dumps(objects[0]).encode()) == tuple(ROWS[0])
    np.testing.assert_array_equal(codec.read(json.dumps(objects).encode()), ROWS)


def test_json_warns_of_every_value_outside_the_range() -> None:
    answer = json.loads(JsonCodec(WIDE, "7").write(predictions()))
    assert answer["species"] == ["species_199"] * 50
    assert answer["probabilities"][0]["species_199"] == 1
    assert len(answer["warnings"]) == 101
    assert answer["warnings"][-1] == "102 more values are outside the ranges seen in training"


def test_names_of_rows_follow_their_marks() -> None:
    marks = np.random.default_rng(2).random((1000, 200)) < 0.05
    expected = [" ".join(name for name, mark in zip(NAMES, row, strict=True) if mark) for row in marks]
    assert outside_names(NAMES, marks) == expected
    assert outside_names(NAMES, marks[:0]) == []

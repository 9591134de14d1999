"""A contract with every kind of feature, and names that need care everywhere."""

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier

from contract.digests import MANIFEST_FILE, ONNX_FILE
from contract.manifest import Contract
from serving.codecs.media_types import ARROW, CSV, JSON, PARQUET

CITIES = ("Oslo, N", 'the "Hague"', "🐧", "Rome ", "a'b%s")
NAMES = ("mean radius", 'od280/"od315"', "100%", "is_red", "city\\", "grade")
MIXED = Contract.model_validate(
    {
        "name": "grapes",
        "target": {
            "name": "kind of grape", "type": "string", "role": "target", "categories": ('red, "dry"', "white", "🍇"),
        },
        "features": [
            {
                "name": NAMES[0], "type": "number", "unit": "mm", "min": 0.5, "max": 2.0,
                "bounds": {"minimum": 0.0, "exclusive_maximum": 10.0},
            },
            {"name": NAMES[1], "type": "number", "required": False, "min": -5.0, "max": 5.0},
            {"name": NAMES[2], "type": "integer", "min": 0, "max": 100, "bounds": {"minimum": -5.0}},
            {"name": NAMES[3], "type": "boolean", "required": False},
            {"name": NAMES[4], "type": "string", "categories": CITIES},
            {"name": NAMES[5], "type": "integer", "required": False, "categories": (7, 3, 5)},
        ],
    }
)  # fmt: skip

Values = Sequence[Any]

ROWS: list[Values] = [
    (1.5, -2.5, 3, True, "Oslo, N", 7),
    (0.0, None, -5, False, 'the "Hague"', 3),
    (9.5, 0.25, 4, None, "🐧", None),
    (1.0, 1e30, 0, True, "Rome ", 5),
    (2.0, None, 1, None, "a'b%s", 7),
]
ENCODED = np.array(
    [
        (1.5, -2.5, 3, 1, 0, 0),
        (0.0, np.nan, -5, 0, 1, 1),
        (9.5, 0.25, 4, 2, 2, 3),
        (1.0, 1e30, 0, 1, 3, 2),
        (2.0, np.nan, 1, 2, 4, 0),
    ]
)


def as_json(row: Values) -> dict[str, Any]:
    """Return a row as an object."""
    return dict(zip(NAMES, row, strict=True))


def table(rows: Sequence[Values] = ROWS) -> pa.Table:
    """Return rows in columns, in reverse order."""
    types = (pa.float64(), pa.float64(), pa.int64(), pa.bool_(), pa.string(), pa.int64())
    columns = zip(NAMES, zip(*rows, strict=True), types, strict=True)
    made = {name: pa.array(values, kind, from_pandas=True) for name, values, kind in columns}
    return pa.table(dict(reversed(made.items())))


def encoded(content: pa.Table, media_type: str) -> bytes:
    """Return a table as a file."""
    sink = io.BytesIO()
    if media_type == CSV:
        pa.csv.write_csv(content, sink)
    elif media_type == PARQUET:
        pq.write_table(content, sink)
    elif media_type == ARROW:
        with pa.ipc.new_stream(sink, content.schema) as writer:
            writer.write_table(content, max_chunksize=2)
    else:
        assert media_type == JSON
        return json.dumps(content.to_pylist()).encode()
    return sink.getvalue()


def files(seed: int = 0) -> dict[str, bytes]:
    """Return the files of a version: a forest that has learned labels by chance."""
    random = np.random.default_rng(seed)
    rows = np.stack([random.uniform(0.5, 2, 60), random.uniform(-5, 5, 60), *random.integers(0, 3, (4, 60))], axis=1)
    rows = rows.astype(np.float32)
    model = RandomForestClassifier(5, random_state=seed).fit(rows, np.arange(60) % 3)
    rows[::7, 1] = np.nan
    content = onnx(model, rows.shape[1])
    session = ort.InferenceSession(content)
    labels, probabilities = session.run(["label", "probabilities"], {session.get_inputs()[0].name: rows[:20]})
    inputs = [[None if value != value else value for value in row] for row in rows.tolist()]
    example = {"inputs": inputs[:20], "labels": labels.tolist(), "probabilities": np.clip(probabilities, 0, 1).tolist()}
    scatter = {"inputs": inputs, "labels": (np.arange(60) % 3).tolist()}
    manifest = {**MIXED.model_dump(mode="json"), "example": example, "scatter": scatter}
    return {MANIFEST_FILE: json.dumps(manifest).encode(), ONNX_FILE: content}


def onnx(model: Any, features: int) -> bytes:
    """Return a classifier as ONNX, in the form that the contract requires."""
    options = {id(model): {"zipmap": False}}
    return bytes(to_onnx(model, np.zeros((1, features), np.float32), options=options).SerializeToString())

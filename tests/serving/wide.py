"""A contract with two hundred features of every kind, and fifty classes, all with long names."""

import json
from typing import Any

import numpy as np
import onnxruntime as ort
from sklearn.ensemble import RandomForestClassifier

from contract.digests import MANIFEST_FILE, ONNX_FILE
from contract.manifest import Contract
from tests.serving.mixed import onnx

CLASSES = [f"state_{number:02}_of_the_machine" for number in range(50)]
KINDS: list[dict[str, Any]] = [
    {"type": "boolean"},
    {"type": "string", "categories": ["first", "second", "third"]},
    {"type": "integer", "min": 0, "max": 100},
    {"type": "number", "min": -1.0, "max": 1.0, "required": False},
    {"type": "number", "unit": "mm", "min": 0.0, "max": 1.0},
]
NAMES = ["truth", *(f"measurement_number_{number:03}_of_the_machine" for number in range(1, 200))]
WIDE = Contract.model_validate(
    {
        "name": "wide",
        "target": {"name": "state", "type": "string", "role": "target", "categories": CLASSES},
        "features": [{"name": name} | KINDS[number % len(KINDS)] for number, name in enumerate(NAMES)],
    }
)


def files() -> dict[str, bytes]:
    """Return the files of a version: a forest that tells the class by the last number, which is from 0 to 1."""
    random = np.random.default_rng(0)
    labels = np.arange(300) % len(CLASSES)
    kinds = [random.integers(0, 2, 300), random.integers(0, 3, 300), random.integers(0, 101, 300)]
    columns = [*kinds, random.uniform(-1, 1, 300), random.uniform(0, 1, 300)] * (len(NAMES) // len(KINDS))
    columns[-1] = (labels + random.uniform(0.2, 0.8, 300)) / len(CLASSES)
    rows = np.column_stack(columns).round(3).astype(np.float32)
    content = onnx(RandomForestClassifier(5, max_features=None, random_state=0).fit(rows, labels), rows.shape[1])
    session = ort.InferenceSession(content)
    found, probabilities = session.run(["label", "probabilities"], {session.get_inputs()[0].name: rows[:20]})
    example = {
        "inputs": rows[:20].tolist(),
        "labels": found.tolist(),
        "probabilities": np.clip(probabilities, 0, 1).tolist(),
    }
    scatter = {"inputs": rows.tolist(), "labels": labels.tolist()}
    manifest = {**WIDE.model_dump(mode="json"), "example": example, "scatter": scatter}
    return {MANIFEST_FILE: json.dumps(manifest).encode(), ONNX_FILE: content}

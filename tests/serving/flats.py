"""A contract with a dozen classes, which are whole numbers, and features that are 0 or 1."""

import json
from typing import Any

import numpy as np
import onnxruntime as ort
from sklearn.ensemble import RandomForestClassifier

from contract.digests import MANIFEST_FILE, ONNX_FILE
from contract.manifest import Contract
from tests.serving.mixed import onnx

ROOMS = (*range(1, 12), 20)
FLATS = Contract.model_validate(
    {
        "name": "flats",
        "target": {"name": "rooms", "type": "integer", "role": "target", "categories": ROOMS},
        "features": [
            {"name": "size_m2", "type": "number", "unit": "m2", "min": 18.0, "max": 410.0, "decimals": 1},
            {"name": "balcony", "type": "integer", "min": 0, "max": 1},
            {"name": "lift", "type": "number", "min": 0.0, "max": 1.0, "required": False},
            {"name": "garage", "type": "integer", "min": 0, "max": 0},
        ],
    }
)


def files() -> dict[str, bytes]:
    """Return the files of a version: a forest that tells the rooms by the size."""
    random = np.random.default_rng(0)
    labels = np.arange(240) % len(ROOMS)
    sizes = 18 + (410 - 18) * (labels + random.uniform(0, 1.6, len(labels))) / (len(ROOMS) + 0.6)
    flags = random.integers(0, 2, (2, len(labels)))
    rows = np.column_stack([sizes, *flags, np.zeros(len(labels))]).astype(np.float32)
    content = onnx(RandomForestClassifier(20, random_state=0).fit(rows, labels), rows.shape[1])
    session = ort.InferenceSession(content)
    found, probabilities = session.run(["label", "probabilities"], {session.get_inputs()[0].name: rows[:20]})
    inputs: list[Any] = rows.tolist()
    example = {
        "inputs": inputs[:20],
        "labels": found.tolist(),
        "probabilities": np.clip(probabilities, 0, 1).tolist(),
    }
    manifest = {
        **FLATS.model_dump(mode="json"),
        "example": example,
        "scatter": {"inputs": inputs, "labels": labels.tolist()},
    }
    return {MANIFEST_FILE: json.dumps(manifest).encode(), ONNX_FILE: content}

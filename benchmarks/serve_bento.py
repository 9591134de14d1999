"""A BentoML service, written as in its documentation. Runs in a separate environment."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import bentoml  # type: ignore[import-not-found]
import numpy as np
import onnxruntime
from pydantic import create_model

FOLDER = Path(os.environ["MODEL"])
NAMES = [feature["name"] for feature in json.loads((FOLDER / "inference" / "contract.json").read_text())["features"]]
FIELDS: Any = dict.fromkeys(NAMES, (float, ...))


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Penguins:
    """Service that predicts the label."""

    def __init__(self) -> None:
        self.onnx = os.environ["ENGINE"] == "onnx"
        if self.onnx:
            self.model: Any = onnxruntime.InferenceSession(FOLDER / "inference" / "model.onnx")
        else:
            self.model = pickle.loads((FOLDER / "model.pkl").read_bytes())  # noqa: S301

    @bentoml.api(input_spec=create_model("Penguin", **FIELDS))  # type: ignore[untyped-decorator]
    def predict(self, **penguin: float) -> dict[str, list[int]]:
        """Predict one penguin."""
        row = np.array([[penguin[name] for name in NAMES]], dtype=np.float32)
        if self.onnx:
            return {"prediction": self.model.run(["label"], {self.model.get_inputs()[0].name: row})[0].tolist()}
        return {"prediction": self.model.predict(row).tolist()}

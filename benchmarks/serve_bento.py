"""A BentoML service, written as in its documentation. Runs in a separate environment."""

import os
import pickle
from pathlib import Path
from typing import Any

import bentoml  # type: ignore[import-not-found]
import numpy as np
import onnxruntime


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Penguins:
    """Service that predicts the label."""

    def __init__(self) -> None:
        folder = Path(os.environ["MODEL"])
        self.onnx = os.environ["ENGINE"] == "onnx"
        if self.onnx:
            self.model: Any = onnxruntime.InferenceSession(folder / "inference" / "model.onnx")
        else:
            self.model = pickle.loads((folder / "model.pkl").read_bytes())  # noqa: S301

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(
        self, bill_length_mm: float, bill_depth_mm: float, flipper_length_mm: float, body_mass_g: float
    ) -> dict[str, list[int]]:
        """Predict one penguin."""
        row = np.array([[bill_length_mm, bill_depth_mm, flipper_length_mm, body_mass_g]], dtype=np.float32)
        if self.onnx:
            return {"prediction": self.model.run(["label"], {self.model.get_inputs()[0].name: row})[0].tolist()}
        return {"prediction": self.model.predict(row).tolist()}

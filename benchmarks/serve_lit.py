"""A LitServe service, written as in its documentation. Runs in a separate environment."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import litserve  # type: ignore[import-not-found]
import numpy as np
import onnxruntime


class Api(litserve.LitAPI):  # type: ignore[misc]
    """API that predicts the label."""

    def setup(self, _device: str) -> None:
        """Load the model."""
        folder = Path(os.environ["MODEL"])
        manifest = json.loads((folder / "inference" / "contract.json").read_text())
        self.names = [feature["name"] for feature in manifest["features"]]
        self.onnx = os.environ["ENGINE"] == "onnx"
        if self.onnx:
            self.model: Any = onnxruntime.InferenceSession(folder / "inference" / "model.onnx")
        else:
            self.model = pickle.loads((folder / "model.pkl").read_bytes())  # noqa: S301

    def decode_request(self, request: dict[str, float]) -> Any:
        """Return the row of a request."""
        return np.array([[request[name] for name in self.names]], dtype=np.float32)

    def predict(self, row: Any) -> Any:
        """Return the label of a row."""
        if self.onnx:
            return self.model.run(["label"], {self.model.get_inputs()[0].name: row})[0]
        return self.model.predict(row)

    def encode_response(self, output: Any) -> dict[str, list[int]]:
        """Return the body of the answer."""
        return {"prediction": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), num_api_servers=1, generate_client_file=False)

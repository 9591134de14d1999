"""A plain FastAPI service, written as in tutorials. ENGINE is sklearn, onnx, or constant (no model)."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel, create_model

folder, engine = Path(os.environ["MODEL"]), os.environ["ENGINE"]
model: Any = pickle.loads((folder / "model.pkl").read_bytes()) if engine == "sklearn" else None  # noqa: S301
session: Any = onnxruntime.InferenceSession(folder / "inference" / "model.onnx") if engine == "onnx" else None
manifest: Any = json.loads((folder / "inference" / "contract.json").read_text())
SPECIES: list[str] = manifest["target"]["categories"]
app = FastAPI()

FIELDS: Any = {feature["name"]: (float, ...) for feature in manifest["features"]}
Penguin = create_model("Penguin", **FIELDS)


class Answer(BaseModel):
    """An answer."""

    prediction: list[int]
    species: list[str]
    probabilities: list[dict[str, float]]


@app.post("/predict")
async def predict(penguin: Penguin) -> Answer:  # type: ignore[valid-type]
    """Predict one penguin."""
    if engine == "constant":
        return Answer(prediction=[2], species=[SPECIES[2]], probabilities=[dict.fromkeys(SPECIES, 0.0)])
    return answer([penguin])


@app.post("/predict_many")
async def predict_many(penguins: list[Penguin]) -> Answer:  # type: ignore[valid-type]
    """Predict a list of penguins."""
    return answer(penguins)


def answer(penguins: list[BaseModel]) -> Answer:
    """Return the predictions of the model."""
    rows = np.array([list(penguin.model_dump().values()) for penguin in penguins], dtype=np.float32)
    if engine == "onnx":
        labels, shares = session.run(["label", "probabilities"], {session.get_inputs()[0].name: rows})
    else:
        shares = model.predict_proba(rows)
        labels = shares.argmax(axis=1)
    return Answer(
        prediction=labels.tolist(),
        species=[SPECIES[label] for label in labels],
        probabilities=[dict(zip(SPECIES, row, strict=True)) for row in shares.tolist()],
    )

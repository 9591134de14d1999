"""Export a model to ONNX, and check that both give the same answers."""

import logging
from typing import Final

import numpy as np
import onnxruntime
import pandas as pd
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.base import ClassifierMixin

from contract.manifest import PROBABILITY_TOLERANCE
from penguins.data.dataset import Dataset

log = logging.getLogger(__name__)

RANDOM_ROWS: Final = 100_000


class NotEqualError(Exception):
    """The ONNX export and the scikit-learn model give different answers."""


def export(model: ClassifierMixin, data: Dataset) -> bytes:
    """Convert `model` to ONNX: float32 `[n, 4]` in, `label` int64 `[n]` and `probabilities` float32 `[n, 3]` out.

    Raises:
        NotEqualError: on the hold-out or on 100,000 random rows a label differs, or a probability by more than
            `PROBABILITY_TOLERANCE`.
    """
    proto = convert_sklearn(
        model,
        initial_types=[("features", FloatTensorType([None, data.features.shape[1]]))],
        options={id(model): {"zipmap": False}},
        target_opset={"": 21, "ai.onnx.ml": 3},
    )
    content: bytes = proto.SerializeToString()
    holdout = data.features.to_numpy(dtype=np.float32)[data.holdout]
    compare(content, model, np.vstack([holdout, _random_rows(data)]))
    return content


def compare(content: bytes, model: ClassifierMixin, rows: np.ndarray) -> None:
    """Check that `content` and `model` give the same answers for float32 `rows` `[n, 4]`.

    Raises:
        NotEqualError: they give different ones.
    """
    labels, probabilities = predict(content, rows)
    expected = model.predict_proba(pd.DataFrame(rows, columns=model.feature_names_in_))
    wrong = int((labels != expected.argmax(axis=1)).sum())
    off = float(np.abs(probabilities - expected).max())
    if wrong or off > PROBABILITY_TOLERANCE:
        raise NotEqualError(
            f"the ONNX export differs from scikit-learn: {wrong} of {len(rows)} labels, probabilities by {off:.2g}"
        )
    log.info("the ONNX export gives the same %s labels, probabilities within %.1g", f"{len(rows):,}", off)


def predict(content: bytes, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predict labels int64 `[n]` and probabilities float32 `[n, 3]` for float32 `rows` `[n, 4]`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more threads change ties between classes
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    labels, probabilities = session.run(["label", "probabilities"], {"features": rows})
    return labels, probabilities


def _random_rows(data: Dataset) -> np.ndarray:
    """Draw rows within, near and far outside the range of the data: from 0 to twice the largest value."""
    generator = np.random.default_rng(data.seed)
    highest = 2 * data.features.to_numpy().max(axis=0)
    return generator.uniform(0, highest, (RANDOM_ROWS, len(highest))).astype(np.float32)

"""Export a model to ONNX, and check that both give the same answers."""

import logging

import numpy as np
import onnxruntime
import pandas as pd
from onnx import ModelProto
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier

from contract.manifest import PROBABILITY_TOLERANCE
from penguins.data.dataset import Dataset
from penguins.registry import onnx_histograms, onnx_trees
from penguins.registry.proof_rows import RANDOM_ROWS, proof_rows
from penguins.training.columns import Columns

log = logging.getLogger(__name__)


class NotEqualError(Exception):
    """The ONNX export and the scikit-learn model give different answers."""


def export(model: ClassifierMixin, data: Dataset, random_rows: int = RANDOM_ROWS) -> bytes:
    """Convert `model` to ONNX.

    Its input is `features`, float32 `[n, features]`, its outputs are `label`, int64 `[n]`, and `probabilities`, float32
    `[n, classes]`.

    Raises:
        NotEqualError: on one of the rows of `proof_rows` a label differs, or a probability by more than
            `PROBABILITY_TOLERANCE`.
    """
    proto = _convert(model, data)
    content: bytes = proto.SerializeToString()
    compare(content, model, proof_rows(model, data, random_rows))
    return content


def _convert(model: ClassifierMixin, data: Dataset) -> ModelProto:
    if isinstance(model, HistGradientBoostingClassifier):
        return onnx_histograms.convert(model)
    proto: ModelProto = convert_sklearn(
        model,
        name="model",  # else a random one, so that two exports of a model had different digests
        initial_types=[("features", FloatTensorType([None, data.features.shape[1]]))],
        options={id(model): {"zipmap": False}},
        target_opset={"": 21, "ai.onnx.ml": 3},
    )
    onnx_trees.complete(proto, model, Columns.of(data.contract.features).may_be_missing)
    return proto


def compare(content: bytes, model: ClassifierMixin, rows: np.ndarray) -> None:
    """Check that `content` and `model` give the same answers for float32 `rows` `[n, features]`.

    Raises:
        NotEqualError: they give different ones.
    """
    labels, probabilities = predict(content, rows)
    try:
        expected = model.predict_proba(pd.DataFrame(rows, columns=model.feature_names_in_))
    except ValueError as error:  # a number that overflows float32 within the model
        raise NotEqualError(f"scikit-learn has no answer to some rows: {error}") from error
    wrong = int((labels != expected.argmax(axis=1)).sum())
    off = float(np.abs(probabilities - expected).max())
    if wrong or not off <= PROBABILITY_TOLERANCE:  # NaN isn't
        raise NotEqualError(
            f"the ONNX export differs from scikit-learn: {wrong} of {len(rows)} labels, probabilities by {off:.2g}"
        )
    log.info("the ONNX export gives the same %s labels, probabilities within %.1g", f"{len(rows):,}", off)


def predict(content: bytes, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predict labels int64 `[n]` and probabilities float32 `[n, classes]` for float32 `rows` `[n, features]`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more threads change ties between classes
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    labels, probabilities = session.run(["label", "probabilities"], {"features": rows})
    return labels, probabilities

"""ONNX Runtime gives the same answers as scikit-learn."""

import numpy as np
import pytest
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression

from serving.inference.engines import OnnxEngine
from serving.registry.refusals import RefusedError
from tests.serving.publisher import forest, known_contract, onnx, penguins


def test_onnx_runtime_predicts_as_scikit_learn() -> None:
    model = forest(n_estimators=100)
    random = np.random.default_rng(1)
    rows = random.uniform((30, 12, 170, 2500), (60, 22, 235, 6500), (10_000, 4)).astype(np.float32)
    labels, probabilities = OnnxEngine(onnx(model), known_contract()).predict(rows)
    np.testing.assert_array_equal(labels, model.predict(rows))
    np.testing.assert_allclose(probabilities, model.predict_proba(rows), atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"no model", onnx(forest())[:1000]])
def test_content_that_is_not_a_model_is_refused(content: bytes) -> None:
    with pytest.raises(RefusedError, match="ONNX Runtime can't load it") as refused:
        OnnxEngine(content, known_contract())
    assert refused.value.code == "model_unreadable"


def other_inputs() -> bytes:
    """Return a model of three features."""
    rows, labels = penguins(0)
    model = forest().fit(rows[:, :3], labels)
    return bytes(to_onnx(model, rows[:1, :3], options={id(model): {"zipmap": False}}).SerializeToString())


def other_outputs() -> bytes:
    """Return a model that isn't a classifier."""
    rows, labels = penguins(0)
    return bytes(to_onnx(LinearRegression().fit(rows, labels), rows[:1]).SerializeToString())


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (other_inputs(), "its input is [('tensor(float)', [3])]"),
        (other_outputs(), "its outputs are {'variable'"),
        (onnx(forest(), zipmap=True), "its outputs are"),
    ],
)
def test_wrong_signature_is_refused(content: bytes, text: str) -> None:
    with pytest.raises(RefusedError) as refused:
        OnnxEngine(content, known_contract())
    assert refused.value.code == "signature_mismatch"
    assert text in refused.value.message

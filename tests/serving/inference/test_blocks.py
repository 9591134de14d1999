"""A row has the same answer, to the last bit, alone and anywhere among others."""

import pickle
from collections.abc import Callable, Iterator
from functools import cache
from itertools import cycle, islice
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import sklearn
from sklearn.base import ClassifierMixin
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from serving.codecs.media_types import TABLES
from serving.inference.blocks import BLOCK_ROWS, in_blocks
from serving.inference.contract import SklearnFlavor
from serving.inference.engines import Engine, OnnxEngine
from serving.inference.prediction import PROBABILITY_DIGITS, rounded_as_numpy
from serving.inference.sklearn_engine import SklearnEngine
from tests.serving.codecs.test_tables import decoded, encoded, post, table
from tests.serving.penguins import FEATURES, SPECIES
from tests.serving.publisher import Publisher, forest, known_contract, onnx, penguins
from tests.serving.service import Service

MODELS: dict[str, Any] = {
    "forest": forest(n_estimators=300),
    "boosting": GradientBoostingClassifier(n_estimators=50, random_state=0),
    "regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    "network": make_pipeline(StandardScaler(), MLPClassifier((16,), solver="lbfgs", max_iter=5000, random_state=0)),
}
SIZES = (2, 3, 7, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 1000, 6000)


@cache
def fitted(name: str) -> ClassifierMixin:
    """Return one of `MODELS`."""
    return MODELS[name].fit(*penguins(0))


def some_rows(number: int) -> np.ndarray:
    """Return float32 rows within and around the range of the training data."""
    random = np.random.default_rng(3)
    return random.uniform((25, 10, 160, 2000), (65, 25, 240, 7000), (number, len(FEATURES))).astype(np.float32)


def borders(number: int, first: int) -> Iterator[tuple[int, int]]:
    """Yield the borders of batches of `SIZES`, again and again, from the size at `first` on."""
    start = 0
    for size in islice(cycle(SIZES), first, None):
        yield start, min(number, start + size)
        start += size
        if start >= number:
            return


def by_sklearn(model: ClassifierMixin) -> Engine:
    """Return the engine of versions registered by hand."""
    flavor = SklearnFlavor(pickled_model="", serialization_format="pickle", sklearn_version=sklearn.__version__)
    return SklearnEngine(pickle.dumps(model), flavor, known_contract())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("engine", ["onnx", "sklearn"])
def test_a_row_has_the_same_answer_in_every_batch(name: str, engine: str) -> None:
    # Fewer rows where scikit-learn takes 40 ms for each alone: still more than a block has.
    model, number = fitted(name), 13_000 if engine == "onnx" else 100
    loaded = OnnxEngine(onnx(model), known_contract()) if engine == "onnx" else by_sklearn(model)
    rows = some_rows(number)
    alone = [loaded.predict(row[np.newaxis]) for row in rows]
    labels, probabilities = (np.concatenate(part) for part in zip(*alone, strict=True))
    for shift in (0, SIZES.index(BLOCK_ROWS), SIZES.index(BLOCK_ROWS + 1)):
        moved = np.roll(rows, shift, axis=0)
        batches = [loaded.predict(moved[start:end]) for start, end in borders(number, shift)]
        for expected, found in zip((labels, probabilities), zip(*batches, strict=True), strict=True):
            np.testing.assert_array_equal(np.roll(np.concatenate(found), -shift, axis=0), expected)


@pytest.mark.parametrize("name", MODELS)
def test_the_answers_are_those_of_the_file(name: str) -> None:
    content, rows = onnx(fitted(name)), some_rows(BLOCK_ROWS)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    expected = ort.InferenceSession(content, options).run(["label", "probabilities"], {"X": rows})
    for one, other in zip(OnnxEngine(content, known_contract()).predict(rows), expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("number", [1, 63, 64, 65, 130])
def test_every_block_has_the_same_shape(number: int) -> None:
    shapes, rows = [], some_rows(number)

    def run(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shapes.append(block.shape)
        return block[:, 0].astype(np.int64), block

    labels, probabilities = in_blocks(run, rows)
    np.testing.assert_array_equal(probabilities, rows)
    np.testing.assert_array_equal(labels, rows[:, 0].astype(np.int64))
    assert shapes == [(BLOCK_ROWS, len(FEATURES))] * -(-number // BLOCK_ROWS)


def test_trees_need_no_blocks() -> None:
    sound = known_contract()
    assert OnnxEngine(onnx(fitted("forest")), sound)._is_row_by_row
    assert OnnxEngine(onnx(fitted("boosting")), sound)._is_row_by_row
    assert not OnnxEngine(onnx(fitted("regression")), sound)._is_row_by_row


def test_one_row_is_rounded_as_a_list_is() -> None:
    random = np.random.default_rng(5)
    ties = (random.integers(0, 10**6, 30_000) + 0.5) / 10**6
    values = np.concatenate([ties, random.uniform(0, 1, 30_000), [0, -0.0, 1, 5e-7, -1e-7, 3e38]])
    rounded = np.array(rounded_as_numpy(values.tolist()))
    assert rounded.tobytes() == values.round(PROBABILITY_DIGITS).tobytes()  # zeros with their signs


def test_a_penguin_has_the_same_answer_in_every_form(publisher: Publisher, start: Callable[..., Service]) -> None:
    publisher.promote(version := publisher.publish(fitted("regression")))
    service = start()
    service.serves(version)
    rows = some_rows(300).astype(np.float64)
    asked = [dict(zip(FEATURES, row, strict=True)) for row in rows.tolist()]
    alone = [service.predict(penguin).json() for penguin in asked]
    expected = [(answer["prediction"][0], *answer["probabilities"][0].values()) for answer in alone]
    for shift in (0, 5):
        listed = service.predict(asked[shift:] + asked[:shift]).json()
        found = [
            (label, *shares.values())
            for label, shares in zip(listed["prediction"], listed["probabilities"], strict=True)
        ]
        assert found == expected[shift:] + expected[:shift]
        for media_type in TABLES:
            answer = decoded(
                post(service, encoded(table(np.roll(rows, -shift, axis=0)), media_type), media_type).content, media_type
            )
            columns = (answer[name] for name in ("prediction", *(f"probability_{name}" for name in SPECIES)))
            assert [*zip(*columns, strict=True)] == expected[shift:] + expected[:shift]

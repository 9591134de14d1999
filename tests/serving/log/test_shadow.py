"""Answers in the shadow: computed for whole batches, and left out rather than waited for."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.inference.blocks import Labels, Probabilities, Rows
from serving.inference.model import LoadedModel, Release, load
from serving.log.shadow import ShadowAnswers
from serving.metrics import SHADOW_PREDICTIONS
from serving.registry.responses import ModelVersion
from tests.serving.publisher import digests, forest, inference_files, penguins


class Engine:
    """A model that fails, or answers with this label and these probabilities."""

    name = "broken"

    def __init__(self, answer: Exception | tuple[int, float]) -> None:
        self._answer = answer

    def predict(self, rows: Rows) -> tuple[Labels, Probabilities]:
        """See `serving.inference.engines.Engine`."""
        if isinstance(self._answer, Exception):
            raise self._answer
        label, share = self._answer
        return np.full(len(rows), label), np.full((len(rows), 3), share)


@pytest.fixture
def model(request: pytest.FixtureRequest) -> LoadedModel:
    """A version, of a registered model with the name of the test."""
    files = inference_files(forest(1))
    version = ModelVersion(name=request.node.name, version="2", creation_timestamp=1, source="models:/m-1")
    return load(Release(version, digests(files), None), files, "registry")


def counted(model: LoadedModel) -> dict[str, float]:
    """Return the number of rows by what became of them."""
    (family,) = SHADOW_PREDICTIONS.collect()
    found = [each for each in family.samples if each.name.endswith("_total") and each.labels["model"] == model.name]
    return {each.labels["outcome"]: each.value for each in found}


def answer(model: LoadedModel, is_behind: bool = False) -> NDArray[np.integer] | None:
    """Answer rows of float64, for which Production has the first class."""
    rows = penguins(0)[0].astype(np.float64)
    return ShadowAnswers(model, lambda: is_behind).answer(rows, np.zeros(len(rows), np.int16))


def test_rows_are_answered_as_the_version_does(model: LoadedModel) -> None:
    expected, _ = model.engine.predict(penguins(0)[0])
    found = answer(model)
    assert found is not None
    assert found.tolist() == expected.tolist()
    same = float((expected == 0).sum())
    assert counted(model) == {"same": same, "other": 300 - same}


@pytest.mark.parametrize("broken", [MemoryError("none left"), RuntimeError("a\nb"), (0, np.nan), (3, 0.3), (-1, 0.3)])
def test_one_that_fails_is_told_of_once(
    model: LoadedModel, broken: Exception | tuple[int, float], caplog: pytest.LogCaptureFixture
) -> None:
    again = ShadowAnswers(replace(model, engine=Engine(broken)), lambda: False)
    for _ in range(2):
        assert again.answer(penguins(0)[0], np.zeros(300, np.int16)) is None
    assert counted(model) == {"failed": 600}
    assert caplog.text.count("shadow.no_answer") == 1


def test_rows_are_skipped_while_the_log_is_behind(model: LoadedModel) -> None:
    assert answer(model, is_behind=True) is None
    assert counted(model) == {"skipped": 300}

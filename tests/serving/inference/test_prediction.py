"""Values that the model can't compute with are refused, as a single row and in a table."""

from io import BytesIO

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from serving.codecs.errors import InvalidError
from serving.codecs.media_types import CSV
from serving.inference.model import LoadedModel, load
from serving.inference.prediction import predict
from serving.tables.answering import CHUNK_ROWS, answer_table
from tests.serving.penguins import FEATURES
from tests.serving.publisher import inference_files, penguins
from tests.serving.reload.test_cache import release

SOUND, HUGE = (39.1, 18.7, 181.0, 3750.0), (3e38, 3e38, 1.0, 1.0)


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    """A logistic regression with large coefficients, whose sums overflow float32 before any value does."""
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=316, max_iter=5000)).fit(*penguins(0))
    files = inference_files(fitted)
    return load(release(1, files), files, "cache")


def test_a_row_without_probabilities_is_refused(model: LoadedModel) -> None:
    assert sum(predict(model, SOUND).probabilities) == pytest.approx(1, abs=1e-5)
    with pytest.raises(InvalidError, match="^the model has no answer: the values are too large") as refused:
        predict(model, HUGE)
    assert refused.value.invalid.detail[0].loc == ["body"]


def test_its_place_is_named(model: LoadedModel) -> None:
    with pytest.raises(InvalidError, match=r"^\[100\]: the model has no answer") as refused:
        predict(model, np.array([SOUND] * 100 + [HUGE] * 3))
    assert refused.value.invalid.detail[0].loc == ["body", 100]


def test_its_place_in_a_table_is_named(model: LoadedModel) -> None:
    lines = [",".join(FEATURES), *[",".join(map(str, SOUND))] * CHUNK_ROWS, ",".join(map(str, HUGE))]
    body = BytesIO("\n".join(lines).encode())
    with pytest.raises(InvalidError, match=rf"^\[{CHUNK_ROWS}\]: the model has no answer"):
        answer_table(model, CSV, body, BytesIO(), max_rows=CHUNK_ROWS + 1)

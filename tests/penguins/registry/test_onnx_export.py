"""The ONNX export gives the answers of the scikit-learn model, or is refused."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from penguins.data.dataset import Dataset
from penguins.registry import onnx_export


@pytest.fixture
def forest(data: Dataset) -> RandomForestClassifier:
    forest = RandomForestClassifier(5, random_state=0)
    return forest.fit(data.features.iloc[data.train], data.labels[data.train])


def test_the_export_gives_the_answers_of_the_model(data: Dataset, forest: RandomForestClassifier) -> None:
    rows = data.features.to_numpy(dtype=np.float32)
    labels, probabilities = onnx_export.predict(onnx_export.export(forest, data), rows)
    expected = forest.predict_proba(data.features.astype(np.float32))
    assert labels.tolist() == expected.argmax(axis=1).tolist()
    assert probabilities == pytest.approx(expected, abs=1e-4)


def test_an_export_with_other_answers_is_refused(data: Dataset, forest: RandomForestClassifier) -> None:
    content = onnx_export.export(forest, data)
    assert content == onnx_export.export(forest, data)  # so that a version which is made again keeps its digests
    rows = data.features.to_numpy(dtype=np.float32)
    onnx_export.compare(content, forest, rows)
    forest.estimators_ = forest.estimators_[:1]
    with pytest.raises(onnx_export.NotEqualError, match="differs from scikit-learn: .* of 342 labels"):
        onnx_export.compare(content, forest, rows)

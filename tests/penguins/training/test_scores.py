"""Scores of candidates."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss

from penguins.training.scores import score


def test_score_of_a_known_answer() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.0, 0.0, 1.0]])
    scored = score(np.array([0, 1, 1, 2]), probabilities)
    assert scored["accuracy"] == 0.75
    assert scored["f1_macro"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert scored["log_loss"] == pytest.approx(-np.mean(np.log([0.8, 0.7, 0.3, 1.0])))


@pytest.mark.parametrize("classes", [2, 3, 30])
@pytest.mark.parametrize("certain", [False, True])
def test_scores_are_those_of_scikit_learn(classes: int, certain: bool) -> None:
    generator = np.random.default_rng(classes)
    for rows in (1, 7, 300):
        labels = generator.integers(0, classes - 1, rows)  # one class never occurs
        probabilities = generator.dirichlet(np.ones(classes), rows)
        if certain:
            probabilities = np.eye(classes)[probabilities.argmax(axis=1)]
        predicted, known = probabilities.argmax(axis=1), range(classes)
        assert score(labels, probabilities) == {
            "accuracy": accuracy_score(labels, predicted),
            "f1_macro": f1_score(labels, predicted, average="macro", labels=known, zero_division=0),
            "log_loss": log_loss(labels, probabilities, labels=known),
        }


def test_a_model_without_probabilities_has_no_score() -> None:
    with pytest.raises(ValueError, match="NaN"):
        score(np.array([0, 1]), np.array([[0.5, 0.5], [np.nan, np.nan]]))

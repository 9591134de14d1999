"""The accuracy without labels: near the truth, or none."""

import numpy as np
import pytest

from contract.encoding import Matrix
from penguins.monitoring.domain import DomainShift
from penguins.monitoring.estimate import Estimate, estimate
from penguins.registry.reference import Reference
from penguins.training.columns import Columns
from penguins.training.grid import Candidate
from tests.penguins.registry.references import reference_of
from tests.penguins.training.tables import NUMBERS, made_up

Answers = tuple[Reference, Matrix, Matrix, np.ndarray]


@pytest.fixture(scope="module")
def answers() -> Answers:
    """A reference, and a model's answers to 4,000 other rows with their classes."""
    data, other = made_up(NUMBERS, rows=2500), made_up(NUMBERS, rows=4000, seed=9)
    model = Candidate({"n_estimators": 20, "max_depth": 4}).model(Columns.of(data.contract.features), random_state=0)
    model.fit(data.seen(data.train).astype(float), data.labels[data.train])
    return reference_of(data), other.seen().to_numpy(), model.predict_proba(other.seen()), other.labels


def test_it_is_near_the_truth_also_under_covariate_shift(answers: Answers) -> None:
    reference, rows, probabilities, labels = answers
    random = np.random.default_rng(0)
    for weight in (0.0, 1.0, -1.0):
        shares = np.exp(weight * np.abs(rows[:, 0]) / 10)
        chosen = random.choice(len(rows), 1500, p=shares / shares.sum())
        found = estimate(reference, rows[chosen], probabilities[chosen], DomainShift(0.6, 0.1, ()))
        right = probabilities[chosen].argmax(axis=1) == labels[chosen]
        assert found.accuracy is not None
        assert found.accuracy.value == pytest.approx(right.mean(), abs=0.03)
        assert found.accuracy.low < found.accuracy.value < found.accuracy.high
        assert found.accuracy.high - found.accuracy.low < 0.1
        for label, recall in enumerate(found.recalls):
            assert recall is not None
            assert recall.value == pytest.approx(right[labels[chosen] == label].mean(), abs=0.06)


def test_a_class_that_hardly_occurs_has_no_recall(answers: Answers) -> None:
    reference, rows, probabilities, _ = answers
    chosen = np.argsort(-probabilities[:, 2])[:300]
    found = estimate(reference, rows[chosen], probabilities[chosen], None)
    assert found.accuracy is not None
    assert found.recalls[0] is None
    assert found.recalls[2] is not None


def refusal(found: Estimate) -> str:
    assert found.accuracy is None
    assert found.recalls == ()
    return found.refusal


def test_it_is_refused_where_it_cant_be_trusted(answers: Answers) -> None:
    reference, rows, probabilities, _ = answers
    assert refusal(estimate(None, rows, probabilities, None)).startswith("0 answers with known classes")
    few = Reference(
        reference.summary.model_copy(update={"scored": 49}),
        reference.sample,
        reference.probabilities[:49],
        reference.labels[:49],
    )
    assert refusal(estimate(few, rows, probabilities, None)).startswith("49 answers")
    for count in (0, 1, 29):
        assert refusal(estimate(reference, rows[:count], probabilities[:count], None)).startswith(f"{count} rows are")
    assert "AUC of 0.90" in refusal(estimate(reference, rows, probabilities, DomainShift(0.9, 0, ())))
    far = rows.copy()
    far[:1000, 0] = 1e6
    assert "outside the training range" in refusal(estimate(reference, far, probabilities, None))


def test_a_model_that_was_never_wrong_isnt_sure_of_all(answers: Answers) -> None:
    reference, rows, _, _ = answers
    sure = np.tile(np.array([1, 0, 0], dtype=np.float32), (60, 1))
    right = Reference(reference.summary.model_copy(update={"scored": 60}), reference.sample, sure, sure.argmax(1))
    found = estimate(right, rows[:200], np.tile(sure[:1], (200, 1)), None)
    assert found.accuracy is not None
    assert 0.95 < found.accuracy.value < 1
    assert found.accuracy.low < 0.995

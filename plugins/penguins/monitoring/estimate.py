"""Estimate accuracy and recall without labels, from how sure the model was.

How often the model was right when it was as sure as that is learned from answers with known classes (J. Platt, Advances
in Large Margin Classifiers, 1999) and averaged over the rows of a window: the average confidence of C. Guo et al., ICML
2017, and S. Garg et al., ICLR 2022. It holds while rows with one confidence are right as often as in training. A
change of what the classes mean doesn't show in it: that needs labels.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from contract.encoding import Matrix
from penguins.monitoring.domain import DomainShift, some_rows
from penguins.registry.reference import Reference

FEWEST_ROWS: Final = 30
FEWEST_SCORED: Final = 50
"""Answers with known classes without which no confidence can be calibrated."""

MOST_OUTSIDE: Final = 0.15
"""Share of the rows outside the training range, beyond what is to be expected, up to which an estimate is given."""

HIGHEST_AUC: Final = 0.85
"""AUC of the domain classifier up to which the window is enough like the training rows."""

_LEVELS: Final = (0.025, 0.975)
_SURE: Final = 0.999  # votes of a forest may be unanimous: no confidence is infinite
_DRAWS: Final = 400
_MAX_ROWS: Final = 5_000
_FEWEST_OF_CLASS: Final = 5  # rows to be expected without which the recall of a class isn't given
_STEPS: Final = 30

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimated share, and the range in which the true one lies in 95 % of the cases."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """The estimate for a window, or the reason why there is none.

    Attributes:
        recalls: by class; None for one that is hardly to be expected in the window.
    """

    refusal: str
    accuracy: Interval | None = None
    recalls: tuple[Interval | None, ...] = ()


def estimate(
    reference: Reference | None, window: Matrix, probabilities: Matrix, domain: DomainShift | None, seed: int = 0
) -> Estimate:
    """Estimate how often the model was right in a window.

    Args:
        window: rows `[n, features]`.
        probabilities: the model's, for these rows `[n, classes]`.
        domain: how well the window can be told from the training rows.
    """
    if reference is None or reference.summary.scored < FEWEST_SCORED:
        scored = reference.summary.scored if reference else 0
        return Estimate(f"{scored} answers with known classes came with the version, and {FEWEST_SCORED} are needed")
    if refusal := _refusal(reference, window, domain):
        return Estimate(refusal)
    random = np.random.default_rng(seed)
    chosen = probabilities[some_rows(len(probabilities), _MAX_ROWS)].astype(np.float64)
    answers = chosen.argmax(axis=1)
    scores = _scores(chosen)
    known = reference.probabilities.astype(np.float64)
    line, covariance = _calibrate(_scores(known), known.argmax(axis=1) == reference.labels)
    lines = np.vstack([line, random.multivariate_normal(line, covariance, _DRAWS)])
    sure = expit(lines[:, :1] + lines[:, 1:] * scores)
    right = np.vstack([sure[:1], random.random(sure[1:].shape) < sure[1:]])
    return Estimate("", _interval(right.mean(axis=1)), _recalls(right, answers, chosen))


def outside_share(reference: Reference, window: Matrix) -> float:
    """Return the share of rows with a number outside the training range, beyond what is to be expected without drift.

    A new row has a number below or above n others with a probability of 2 / (n + 1).
    """
    outside, ranges = np.zeros(len(window), dtype=bool), 0
    for place, feature in enumerate(reference.summary.features):
        if feature.quantiles and feature.logged:
            low, high = feature.quantiles[0], feature.quantiles[-1]
            outside |= (window[:, place] < np.float32(low)) | (window[:, place] > np.float32(high))
            ranges += 1
    expected = 1 - (1 - 2 / (reference.summary.trained_on + 1)) ** ranges
    return float(outside.mean() - expected)


def _refusal(reference: Reference, window: Matrix, domain: DomainShift | None) -> str:
    if len(window) < FEWEST_ROWS:
        return f"{len(window)} rows are too few: {FEWEST_ROWS} are needed"
    if domain is not None and domain.auc > HIGHEST_AUC:
        return f"the rows are too unlike the training rows: they can be told from them with an AUC of {domain.auc:.2f}"
    if (share := outside_share(reference, window)) > MOST_OUTSIDE:
        return f"{share:.0%} more of the rows than expected are outside the training range"
    return ""


def _scores(probabilities: Array) -> Array:
    return np.asarray(logit(np.clip(probabilities.max(axis=1), 1 - _SURE, _SURE)))


def _calibrate(scores: Array, right: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Fit the line of log odds of being right over the score.

    By the maximum of the posterior with the prior that confidences are right as they are: normal, with a variance of
    one, around the line with intercept 0 and slope 1. So there is an answer although the model was never wrong.

    Returns:
        Intercept and slope `[2]`, and their covariance `[2, 2]` by Laplace's approximation.
    """
    inputs = np.column_stack([np.ones_like(scores), scores])
    prior = line = np.array([0.0, 1.0])
    for _ in range(_STEPS):
        sure = expit(inputs @ line)
        curvature = (inputs.T * (sure * (1 - sure))) @ inputs + np.eye(2)
        line = line + np.linalg.solve(curvature, inputs.T @ (right - sure) - (line - prior))
    return line, np.linalg.inv(curvature)


def _recalls(right: Array, answers: NDArray[np.int64], probabilities: Array) -> tuple[Interval | None, ...]:
    """Return the recall of each class: right answers of it against all its rows, some of which have wrong answers.

    Where the model is wrong, the other classes have their parts of the probabilities.

    Args:
        right: whether each row was right: its probability first, then draws `[1 + draws, n]`.
    """
    own = np.eye(probabilities.shape[1])[answers]
    others = probabilities * (1 - own)
    total = others.sum(axis=1, keepdims=True)
    others = np.where(total > 0, others / np.where(total > 0, total, 1), 0)
    found, missed = right @ own, (1 - right) @ others
    rows = found + missed
    shares = np.divide(found, rows, out=np.zeros_like(found), where=rows > 0)
    return tuple(
        _interval(column) if expected >= _FEWEST_OF_CLASS else None
        for column, expected in zip(shares.T, rows[0], strict=True)
    )


def _interval(values: Array) -> Interval:
    """Return the first of some values with the range of the others."""
    low, high = np.quantile(values[1:], _LEVELS)
    value = float(values[0])
    return Interval(value, min(value, float(low)), max(value, float(high)))

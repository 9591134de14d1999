"""A domain classifier: tell rows of a window from those of the reference by all features at once.

It sees what no feature shows alone, such as two that no longer go together. Each half of the rows is scored by a
discriminant that was fitted on the other half, so its AUC has the null distribution of Mann and Whitney whatever was
fitted (D. Lopez-Paz, M. Oquab, Revisiting Classifier Two-Sample Tests, ICLR 2017).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

from contract.encoding import Matrix
from penguins.monitoring.two_samples import auc_of, p_of_auc
from penguins.registry.reference import FeatureSummary

MAX_WINDOW_ROWS: Final = 10_000
FEWEST: Final = 10
"""Rows of the reference without which nothing can be fitted."""

_MAX_PAIRED: Final = 12  # numbers up to which all products of two are columns
_MAX_SQUARED: Final = 50  # numbers up to which their squares are
_FARTHEST: Final = 4.0  # standard deviations: one wild value must not decide
_RARE: Final = 0.01  # share of a half of the reference below which a code has no column of its own
_NAMED: Final = 0.2  # share of the difference from which a feature is named

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DomainShift:
    """How well a window can be told from the reference.

    Attributes:
        auc: 0.5 for not at all, 1 for every row.
        features: names of those responsible, the first one most.
    """

    auc: float
    p: float
    features: tuple[str, ...]


class DomainClassifier:
    """The reference's side of the classifier, prepared once for all windows."""

    def __init__(self, features: Sequence[tuple[int, FeatureSummary]], sample: Matrix) -> None:
        """Prepare it.

        Args:
            features: those to compare, by their positions in the sample.
            sample: rows `[n, features]` in random order.
        """
        self._names = [feature.name for _, feature in features]
        self._samples = (sample[::2], sample[1::2])
        self._halves = [_Half(features, half) for half in self._samples]

    def compare(self, window: Matrix) -> DomainShift:
        """Compare a window `[n, features]` of at least two rows with the reference; of many rows some are taken."""
        aucs, p, parts = self.compare_all(window[None, some_rows(len(window), MAX_WINDOW_ROWS)])
        return DomainShift(float(aucs[0]), float(p[0]), self._responsible(parts[0]))

    def compare_all(self, windows: Matrix) -> tuple[Array, Array, Array]:
        """Compare windows `[windows, n, features]`.

        Returns:
            AUC `[windows]`, the mean of both halves; p-values `[windows]`, twice the smaller one of both halves; parts
            of the distance `[windows, features]`.
        """
        aucs, ps, parts = [], [], np.zeros((len(windows), len(self._names)))
        for fit, half in enumerate(self._halves):
            judge = 1 - fit
            directions, found = half.directions(windows[:, fit::2])
            parts += found
            reference = np.sort(directions @ half.columns(self._samples[judge]).T, axis=1)
            judged = np.sort((half.columns(windows[:, judge::2]) @ directions[:, :, None])[:, :, 0], axis=1)
            aucs.append(np.array([auc_of(*each) for each in zip(reference, judged, strict=True)]))
            ps.append(p_of_auc(aucs[-1], judged.shape[1], reference.shape[1]))
        return (aucs[0] + aucs[1]) / 2, np.minimum(1.0, 2 * np.minimum(*ps)), parts

    def _responsible(self, parts: Array) -> tuple[str, ...]:
        """Name the features that make up the distance of Mahalanobis between the two, which is the sum of `parts`."""
        of_features = np.maximum(parts, 0)
        order = np.argsort(-of_features, kind="stable")
        least = _NAMED * of_features.sum()
        return tuple(self._names[place] for place in order if of_features[place] >= least > 0)


class _Half:
    """A discriminant's side of one half of the reference.

    Scales and columns are those of this half, too: what all rows decide about tells the other half from a window.
    """

    def __init__(self, features: Sequence[tuple[int, FeatureSummary]], sample: Matrix) -> None:
        self._numbers = [place for place, feature in features if feature.kind == "number"]
        self._codes = [
            (place, code, owner)
            for owner, (place, feature) in enumerate(features)
            if feature.kind != "number"
            for code in _common_codes(sample[:, place])
        ]
        values = sample[:, self._numbers].astype(np.float64)
        present = ~np.isnan(values)
        count = np.maximum(present.sum(axis=0), 1)
        self._mean = np.where(present, values, 0).sum(axis=0) / count
        spread = np.sqrt(np.where(present, (values - self._mean) ** 2, 0).sum(axis=0) / count)
        self._scale = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
        self._pairs = self._products()
        self._owners = self._shares_of_columns(features)
        rows = self.columns(sample)
        self._middle, self._precision = rows.mean(axis=0), _precision(rows)

    def directions(self, windows: Matrix) -> tuple[Array, Array]:
        """Return the discriminants of windows `[windows, columns]`, and parts of the distance `[windows, features]`."""
        moved = self.columns(windows).mean(axis=1) - self._middle
        directions = moved @ self._precision
        return directions, (moved * directions) @ self._owners

    def columns(self, rows: Matrix) -> Array:
        """Return standardised numbers with 0 for missing ones, their squares and products, and indicators of codes."""
        numbers = (rows[..., self._numbers] - self._mean) * self._scale
        numbers = np.clip(np.nan_to_num(numbers, nan=0.0, posinf=_FARTHEST, neginf=-_FARTHEST), -_FARTHEST, _FARTHEST)
        first, second = self._pairs
        codes = [(rows[..., place] == code)[..., None] for place, code, _ in self._codes]
        return np.concatenate([numbers, numbers[..., first] * numbers[..., second], *codes], axis=-1)

    def _products(self) -> tuple[list[int], list[int]]:
        count = len(self._numbers)
        pairs = [(each, each) for each in range(count)] if count <= _MAX_SQUARED else []
        pairs += combinations(range(count), 2) if count <= _MAX_PAIRED else []
        return [first for first, _ in pairs], [second for _, second in pairs]

    def _shares_of_columns(self, features: Sequence[tuple[int, FeatureSummary]]) -> Array:
        """Return how much of each column is each feature's `[columns, features]`; a product is half of either."""
        own = np.eye(len(features))
        numbers = own[[owner for owner, (_, feature) in enumerate(features) if feature.kind == "number"]]
        first, second = self._pairs
        return np.vstack([numbers, (numbers[first] + numbers[second]) / 2, own[[owner for *_, owner in self._codes]]])


def some_rows(count: int, most: int) -> NDArray[np.integer]:
    """Return the positions of at most `most` of `count` rows: at random, for rows may repeat at regular distances."""
    return np.arange(count) if count <= most else np.random.default_rng(0).choice(count, most, replace=False)


def _common_codes(values: NDArray[np.float32]) -> list[int]:
    """Return the codes with a column: all but the most frequent one, which the others leave over, and rare ones."""
    codes, counts = np.unique(values[~np.isnan(values)].astype(np.int64), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [int(codes[place]) for place in order[1:] if counts[place] >= _RARE * len(values)]


def _precision(rows: Array) -> Array:
    """Return the inverse of the covariance, shrunk so that it exists (O. Ledoit, M. Wolf, 2004)."""
    covariance, _ = ledoit_wolf(rows)
    return np.linalg.pinv(covariance, hermitian=True)

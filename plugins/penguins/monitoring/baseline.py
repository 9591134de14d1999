"""A reference, prepared to compare windows with: sorted columns, counts and the domain classifier."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from contract.encoding import Matrix
from penguins.monitoring.domain import FEWEST, DomainClassifier
from penguins.monitoring.two_samples import p_of_numbers, p_of_tables, total_variation, wasserstein
from penguins.registry.reference import FeatureSummary, Reference

Aspect = Literal["values", "missing"]
Values = NDArray[np.float32]
Table = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Counts of the same values in the reference and in the window."""

_ATOM: Final = 0.1
"""Share of a number's rows from which a single value is also counted, as that of a category is."""


@dataclass(frozen=True)
class Comparison:
    """One aspect of a feature in the reference and in a window.

    Attributes:
        spread: standard deviation in the reference.
        numbers: sorted numbers of both, without the missing ones; None for what is only counted.
        table: counts of codes, of rows with and without a value, or of the numbers that many rows have.
    """

    feature: FeatureSummary
    aspect: Aspect
    spread: float
    numbers: tuple[Values, Values] | None
    table: Table | None

    def effect(self) -> float:
        """Return how far numbers moved on average, in standard deviations, or else which share of the rows changed."""
        if self.numbers is not None:
            moved = wasserstein(*self.numbers)
            return moved / self.spread if self.spread else float("inf") if moved else 0.0
        return self.share()

    def share(self) -> float:
        """Return which share of the rows changed what is counted, at least; a number that many rows have is, too."""
        return total_variation(*self.table) if self.table else 0.0


class Baseline:
    """The reference's side of all comparisons."""

    def __init__(self, reference: Reference) -> None:
        """Prepare it. Features that the prediction log leaves out aren't compared."""
        self.reference = reference
        self.rows = reference.summary.rows
        self.logged = [(place, feature) for place, feature in enumerate(reference.summary.features) if feature.logged]
        self._columns = [_Column(place, feature, reference.sample[:, place]) for place, feature in self.logged]
        known = self.rows >= FEWEST and self.logged
        self.domain = DomainClassifier(self.logged, reference.sample) if known else None

    def compare(self, window: Matrix) -> list[Comparison]:
        """Put each feature of a window `[n, features]` beside that of the reference.

        Where values are missing their share is an aspect of its own.
        """
        return [each for column in self._columns for each in column.compare(window)]


def p_values(comparisons: Sequence[Comparison]) -> NDArray[np.float64]:
    """Return the p-value of each comparison."""
    numeric = [place for place, each in enumerate(comparisons) if each.numbers is not None]
    counted = [place for place, each in enumerate(comparisons) if each.table is not None]
    p, tests = np.ones(len(comparisons)), np.zeros(len(comparisons))
    p[numeric] = [p_of_numbers(*each.numbers) for each in comparisons if each.numbers is not None]
    p[counted] = np.minimum(p[counted], p_of_tables([each.table for each in comparisons if each.table is not None]))
    tests[numeric] += 1
    tests[counted] += 1
    return np.minimum(1.0, p * tests)


class _Column:
    """A feature of the reference."""

    def __init__(self, place: int, feature: FeatureSummary, sample: Values) -> None:
        self._place, self._feature = place, feature
        self._present = np.sort(sample[~np.isnan(sample)])
        self._missing = len(sample) - len(self._present)
        self._spread = float(self._present.astype(np.float64).std()) if len(self._present) else 0.0
        if feature.kind == "number":
            values, counts = np.unique(self._present, return_counts=True)
            self._atoms = values[counts >= max(2, _ATOM * len(self._present))]
            self._counts = self._count_atoms(self._present)
        else:
            self._counts = np.bincount(sample.astype(np.int64), minlength=len(feature.counts))

    def compare(self, window: Matrix) -> list[Comparison]:
        values = window[:, self._place]
        if self._feature.kind != "number":
            last = len(self._counts) - 1  # of missing values; the log also has NaN where it left a value out
            codes = np.clip(np.nan_to_num(values, nan=last), 0, last).astype(np.int64)
            counts = np.bincount(codes, minlength=len(self._counts))
            return [Comparison(self._feature, "values", 0.0, None, (self._counts, counts))]
        missing = int(np.isnan(values).sum())
        present = np.sort(values)[: len(values) - missing]  # NaN is sorted last
        table = (self._counts, self._count_atoms(present)) if len(self._atoms) else None
        found = [Comparison(self._feature, "values", self._spread, (self._present, present), table)]
        if missing or self._missing:
            rows = np.array([len(self._present), self._missing]), np.array([len(present), missing])
            found.append(Comparison(self._feature, "missing", 0.0, None, rows))
        return found

    def _count_atoms(self, sorted_values: Values) -> NDArray[np.int64]:
        """Count the rows of each value that many rows of the reference have, and last those of all others."""
        first, end = (np.searchsorted(sorted_values, self._atoms, side) for side in ("left", "right"))
        counts = end - first
        return np.append(counts, len(sorted_values) - counts.sum()).astype(np.int64)

"""The domain classifier: how often it tells rows apart that are of the same kind."""

import numpy as np

from penguins.monitoring.domain import DomainClassifier
from penguins.registry.reference import FeatureSummary

WINDOWS = 400


def p_without_drift(codes: int, reference: int, rows: int) -> np.ndarray:
    """Return the p-values of windows without drift of one category, each with a reference of its own."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(WINDOWS):
        sample, window = (random.integers(codes, size=(count, 1)).astype(np.float32) for count in (reference, rows))
        counts = np.bincount(sample[:, 0].astype(int), minlength=codes + 1).tolist()
        feature = FeatureSummary(name="code", kind="category", logged=True, missing=0, counts=counts, quantiles=[])
        found.append(DomainClassifier([(0, feature)], sample).compare(window).p)
    return np.array(found)


def test_rows_that_choose_the_columns_are_not_judged_by_them() -> None:
    """Of 200 codes those that are frequent by chance are so in the reference, and not in the window."""
    p = p_without_drift(codes=200, reference=300, rows=2000)
    for level in (0.05, 0.01):
        assert (p <= level).mean() <= level + 3 * np.sqrt(level / WINDOWS)

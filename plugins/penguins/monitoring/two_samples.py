"""Tests and effects of two samples, valid far into the tails and for any number of rows.

An alarm is raised at p-values near one in ten million, where a permutation test with 999 shuffles ends at 0.001 and the
asymptotic chi² of rare categories is wrong by orders of magnitude. So p-values here are exact, or bounds from above.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import hypergeom

Values = NDArray[np.floating]
Counts = NDArray[np.integer]

_WEI_DUDLEY: Final = 2.16863


def p_of_numbers(reference: Values, windows: Values) -> Values:
    """Return the p-values of the difference between a sample of numbers and windows `[…, n]`, all sorted.

    Each is twice the smaller one of two tests: Kolmogorov-Smirnov sees any difference, Mann-Whitney a shift earlier.

    - Kolmogorov-Smirnov: p <= C exp(-2 D² nm / (n + m)), the inequality of Dvoretzky, Kiefer, Wolfowitz and Massart for
      two samples with the largest C that any n and m need (F. Wei, R. M. Dudley, Statistics & Probability Letters
      82(3), 2012). Equal values make it larger than needed, never smaller.
    - Mann-Whitney (H. B. Mann, D. R. Whitney, Annals of Mathematical Statistics 18(1), 1947): the normal approximation
      without a correction for equal values, whose tails are heavier than the exact ones.
    """
    number, size = windows.shape[-1], len(reference)
    if not number or not size:
        return np.ones(windows.shape[:-1])
    below, up_to = _places(reference, windows)
    steps = np.arange(number + 1) / number
    distance = np.maximum((steps[1:] - up_to / size).max(axis=-1), (below / size - steps[:-1]).max(axis=-1))
    by_distance = _WEI_DUDLEY * np.exp(-2 * distance**2 * number * size / (number + size))
    auc = (below.mean(axis=-1) + up_to.mean(axis=-1)) / (2 * size)
    by_rank = 2 * p_of_auc(np.maximum(auc, 1 - auc), number, size)
    return np.asarray(np.minimum(1.0, 2 * np.minimum(by_distance, by_rank)))


def p_of_auc(auc: Values | float, number: int, size: int) -> Values:
    """Return Mann and Whitney's one-sided p-value for the share of pairs in which the window's value is greater."""
    return np.asarray(ndtr((0.5 - auc) / auc_error(number, size)))


def auc_error(number: int, size: int) -> float:
    """Return the standard deviation of that share if there is no difference and no two values are equal."""
    return math.sqrt((number + size + 1) / (12 * number * size))


def auc_of(reference: Values, window: Values) -> float:
    """Return the share of pairs in which the window's value is greater; equal ones count half. Both are sorted."""
    below, up_to = _places(reference, window)
    return float((below.mean() + up_to.mean()) / (2 * len(reference)))


def _places(reference: Values, values: Values) -> tuple[Counts, Counts]:
    """Return how many numbers of the reference are less than each value, and how many aren't greater."""
    up_to = np.searchsorted(reference, values, "right")
    if not (reference[np.maximum(up_to, 1) - 1] == values).any():  # none is equal: no need to search again
        return up_to, up_to
    return np.searchsorted(reference, values, "left"), up_to


def p_of_tables(tables: Sequence[tuple[Counts, Counts]]) -> NDArray[np.float64]:
    """Return a p-value for each pair of counts of values, of the reference and of the window: do shares differ?

    It is the smallest p-value of the single values, times their number (Bonferroni). Each is that of Fisher's exact
    test, two-sided as twice the smaller tail: given a value's count in both together, that in the window is
    hypergeometric (R. A. Fisher, The Design of Experiments, 1935).
    """
    if not tables:
        return np.ones(0)
    lengths = [len(before) for before, _ in tables]
    reference, window = (np.concatenate(counts) for counts in zip(*tables, strict=True))
    size, number = (np.repeat([counts.sum() for counts in side], lengths) for side in zip(*tables, strict=True))
    more = window * size > reference * number
    drawn, rows = np.where(more, window, reference), np.where(more, number, size)
    p = np.minimum(1.0, 2 * hypergeom.sf(drawn - 1, number + size, window + reference, rows))
    starts = np.cumsum([0, *lengths[:-1]])
    values = np.add.reduceat(window + reference > 0, starts, dtype=np.int64)
    tests = np.where(values > 2, values, 1)  # of two values, one has what the other lacks
    return np.asarray(np.minimum(1.0, np.minimum.reduceat(p, starts) * tests))


def wasserstein(reference: Values, window: Values) -> float:
    """Return how far the numbers of a sorted sample moved on average: the distance of Wasserstein between the two.

    It is the mean distance of their quantiles (S. S. Vallender, Theory of Probability and its Applications 18(4),
    1974), taken at as many levels as the reference has rows.
    """
    if not len(window) or not len(reference):
        return 0.0
    places = ((np.arange(len(reference)) + 0.5) / len(reference) * len(window)).astype(np.int64)
    return float(np.abs(window[places].astype(np.float64) - reference).mean())


def total_variation(reference: Counts, window: Counts) -> float:
    """Return the share of rows that changed their value, at least: half the sum of the differences of shares."""
    if not window.sum() or not reference.sum():
        return 0.0
    return float(np.abs(window / window.sum() - reference / reference.sum()).sum() / 2)


def detectable_shift(number: int, size: int, alpha: float, power: float = 0.8) -> float:
    """Return the shift of a normal feature, in standard deviations, that Mann-Whitney finds with this power.

    A shift by d makes the window's value the greater one in a share of Phi(d / sqrt(2)) of the pairs (R. J. Grissom,
    J. J. Kim, Effect Sizes for Research, 2005). It is infinite if so few rows can't show any.

    Args:
        alpha: level of the one test, two-sided.
    """
    if not number or not size:
        return math.inf
    share = 0.5 + float(ndtri(power) - ndtri(alpha / 2)) * auc_error(number, size)
    return math.sqrt(2) * float(ndtri(share)) if share < 1 else math.inf

"""Tests of two samples, against exact ones."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control, fisher_exact, ks_2samp, mannwhitneyu, wasserstein_distance

from penguins.monitoring.two_samples import (
    auc_of,
    detectable_shift,
    p_of_auc,
    p_of_numbers,
    p_of_tables,
    total_variation,
    wasserstein,
)


def sorted_normals(rows: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).normal(shift, 1, rows)).astype(np.float32)


@pytest.mark.parametrize(("rows", "size"), [(30, 275), (30, 2000), (275, 275)])
@pytest.mark.parametrize("shift", [0.3, 0.6, 1.0, 1.5])
def test_p_values_are_at_least_the_exact_ones(rows: int, size: int, shift: float) -> None:
    """Also far into the tails, where an alarm is raised: an approximation from below would cry wolf."""
    reference, window = sorted_normals(size, 1), sorted_normals(rows, 2, shift)
    by_distance = ks_2samp(reference, window, method="exact").pvalue
    by_rank = mannwhitneyu(window, reference, method="exact").pvalue
    auc = auc_of(reference, window)
    assert 2 * p_of_auc(max(auc, 1 - auc), rows, size) >= 0.97 * by_rank
    assert float(p_of_numbers(reference, window)) >= min(1, 2 * min(by_distance, by_rank) * 0.97)


def test_many_windows_have_the_p_values_of_each() -> None:
    reference = sorted_normals(500, 1)
    windows = np.stack([sorted_normals(40, seed, 0.1 * seed) for seed in range(8)])
    assert p_of_numbers(reference, windows) == pytest.approx([float(p_of_numbers(reference, each)) for each in windows])


def test_equal_values_count_on_both_sides() -> None:
    """A reference and a window of the same whole numbers don't differ, however many they are."""
    reference = np.repeat(np.arange(5), 100).astype(np.float32)
    window = np.repeat(np.arange(5), 2000).astype(np.float32)
    assert p_of_numbers(reference, window) == 1
    assert auc_of(reference, window) == 0.5
    assert p_of_numbers(reference, window + 1) < 1e-12
    assert p_of_numbers(reference, window[:0]) == p_of_numbers(reference[:0], window) == 1


def test_counts_have_the_p_values_of_fishers_exact_test() -> None:
    p = p_of_tables([(np.array([900, 100]), np.array([30, 20])), (np.array([50, 50, 0]), np.array([10, 10, 3]))])
    assert p[0] == pytest.approx(2 * fisher_exact([[20, 30], [100, 900]], "greater").pvalue)
    assert p[1] == pytest.approx(3 * 2 * fisher_exact([[3, 20], [0, 100]], "greater").pvalue)
    assert p_of_tables([(np.array([50, 0]), np.array([0, 0]))]).tolist() == [1]
    assert len(p_of_tables([])) == 0


def test_effects_are_those_of_scipy() -> None:
    reference, window = sorted_normals(2000, 1), sorted_normals(9000, 2, 0.4)
    assert wasserstein(reference, window) == pytest.approx(wasserstein_distance(reference, window), rel=0.01)
    assert wasserstein(reference, reference) == wasserstein(reference, window[:0]) == 0
    assert total_variation(np.array([50, 50]), np.array([10, 0])) == 0.5


def test_the_detectable_shift_is_found_with_that_power() -> None:
    rows, size, alpha = 200, 2000, 1e-7
    shift = detectable_shift(rows, size, alpha)
    random = np.random.default_rng(0)
    found = []
    for _ in range(200):
        reference = np.sort(random.normal(size=size))
        found.append(p_of_numbers(reference, np.sort(random.normal(shift, 1, rows))) <= 2 * alpha)
    assert np.mean(found) == pytest.approx(0.8, abs=0.07)
    assert detectable_shift(1, size, alpha) == detectable_shift(0, size, alpha) == np.inf


def test_adjusted_p_values_are_valid_far_into_the_tails() -> None:
    """Of forty thousand windows without drift, as many are as unlikely as that."""
    random = np.random.default_rng(0)
    least = []
    for _ in range(8):
        reference = np.sort(random.normal(size=2000).astype(np.float32))
        windows = np.sort(random.normal(size=(5_000, 50)).astype(np.float32), axis=1)
        least.append(p_of_numbers(reference, windows))
    p = false_discovery_control(np.concatenate(least).reshape(-1, 4), axis=1).min(axis=1)
    for level in (0.05, 0.01, 0.001):
        expected = level * len(p)
        assert (p <= level).sum() <= expected + 4 * np.sqrt(expected)

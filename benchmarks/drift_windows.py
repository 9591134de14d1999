"""Windows of a made-up table with and without drift, for `benchmarks.drift`."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.stats import false_discovery_control

from contract.encoding import Matrix
from penguins.monitoring.baseline import Baseline, p_values
from penguins.monitoring.drift import alpha_of, judge, look
from penguins.monitoring.estimate import estimate
from penguins.monitoring.two_samples import p_of_numbers, p_of_tables
from penguins.registry.reference import LEVELS, MAX_ROWS, FeatureSummary, Reference, Summary

HOURS: Final = 8760
HOUR: Final = alpha_of(timedelta(hours=1))
SHARES: Final = (0.6, 0.3, 0.08, 0.02)
"""Of the categories: the last one is rare."""

CELLS: Final = 20_000  # rows that are judged at once, so that they stay in the processor's cache
CHECKED: Final = 20  # windows of a year that are judged one by one as well


def table(random: np.random.Generator, rows: int) -> Matrix:
    """Draw rows of two numbers that go together, a skewed one, and a category."""
    first, second, third = random.standard_normal((3, rows), dtype=np.float32)
    code = np.searchsorted(np.cumsum(SHARES[:-1]), random.random(rows, dtype=np.float32))
    return np.column_stack([first, 0.6 * first + 0.8 * second, np.exp(third), code]).astype(np.float32)


def reference(sample: Matrix, codes: int = 0) -> Reference:
    """Return the reference of a table whose last column is a category, if it has codes; answers are 90 % sure."""
    features = []
    for place, column in enumerate(sample.T):
        is_category = codes > 0 and place == sample.shape[1] - 1
        features.append(
            FeatureSummary(
                name=f"feature {place}",
                kind="category" if is_category else "number",
                logged=True,
                missing=0.0,
                counts=np.bincount(column.astype(int), minlength=codes + 1).tolist() if is_category else [],
                quantiles=[] if is_category else np.quantile(column, LEVELS).tolist(),
            )
        )
    rows = len(sample)
    labels = (np.arange(rows) % 10 == 0).astype(np.int16)
    summary = Summary(
        format=1,
        trained_on=rows,
        features=features,
        classes=["yes", "no"],
        class_counts=[rows, 0],
        rows=rows,
        scored=rows,
    )
    return Reference(summary, sample, np.tile(np.array([0.9, 0.1], dtype=np.float32), (rows, 1)), labels)


def baseline_of(random: np.random.Generator) -> Baseline:
    """Draw a reference."""
    return Baseline(reference(table(random, MAX_ROWS), len(SHARES)))


def alarms_of_a_year(rows: int, seed: int) -> int:
    """Return the number of alarms in a year of hourly windows without drift, with a reference of its own."""
    random = np.random.default_rng([seed, rows])
    baseline = baseline_of(random)
    together, alarms = max(1, CELLS // rows), 0
    for start in range(0, HOURS, together):
        count = min(together, HOURS - start)
        windows = table(random, count * rows).reshape(count, rows, -1)
        adjusted, domain = judge_all(baseline, windows)
        alarms += int(((adjusted.min(axis=1) <= HOUR / 2) | (domain <= HOUR / 2)).sum())
        if start < CHECKED * together:
            _, expected, shift = look(baseline, windows[0])
            assert np.allclose(expected, adjusted[0])
            assert shift is not None
            assert np.isclose(shift.p, domain[0])
    return alarms


def judge_all(baseline: Baseline, windows: Matrix) -> tuple[np.ndarray, np.ndarray]:
    """Return the adjusted p-values of the features `[windows, features]` and those of all at once `[windows]`."""
    sample, last = baseline.reference.sample, windows.shape[-1] - 1
    numbers = [p_of_numbers(np.sort(sample[:, place]), np.sort(windows[..., place], axis=1)) for place in range(last)]
    codes = windows[..., last].astype(np.int64) + np.arange(len(windows))[:, None] * (len(SHARES) + 1)
    counts = np.bincount(codes.ravel(), minlength=len(windows) * (len(SHARES) + 1)).reshape(len(windows), -1)
    before = np.bincount(sample[:, last].astype(np.int64), minlength=len(SHARES) + 1)
    p = np.column_stack([*numbers, p_of_tables([(before, window) for window in counts])])
    assert baseline.domain is not None
    _, domain, _ = baseline.domain.compare_all(windows)
    return false_discovery_control(p, axis=1), domain


def is_alarmed_by_itself(rows: int, seed: int) -> bool:
    """Return whether there is an alarm for a window like the reference, or for the reference many times over."""
    random = np.random.default_rng([seed, rows])
    baseline = baseline_of(random)
    repeated = np.tile(baseline.reference.sample, (rows // MAX_ROWS, 1))
    assert judge(baseline, repeated, HOUR).outcome == "no drift"
    assert p_values(baseline.compare(repeated)).min() > 0.99
    return judge(baseline, table(random, rows), HOUR).outcome == "drift"


def is_found(shift: float, within: int, seed: int, rows: int = 200) -> bool:
    """Return whether a shift of one number, in its standard deviations, is found within some windows."""
    random = np.random.default_rng([seed, within])
    baseline = baseline_of(random)
    place = seed % 3
    spread = baseline.reference.sample[:, place].std()
    for _ in range(within):
        window = table(random, rows)
        window[:, place] += np.float32(shift * spread)
        if judge(baseline, window, HOUR).outcome == "drift":
            return True
    return False


def save(file: Path, number: int) -> None:
    """Save windows for evidently: without drift, with a shift, and the large one."""
    random = np.random.default_rng(7)
    arrays: dict[str, Any] = {
        f"windows of {rows} rows without drift": np.stack([table(random, rows) for _ in range(number)])
        for rows in (50, 200, 1_000)
    }
    shifted = np.stack([table(random, 200) for _ in range(number)])
    shifted[:, :, 0] += 0.5
    arrays |= {"windows of 200 rows, 0.5 sd": shifted, "reference": table(random, MAX_ROWS)}
    arrays["large_reference"] = random.standard_normal((MAX_ROWS, 10), dtype=np.float32)
    arrays["large"] = random.standard_normal((1_000_000, 10), dtype=np.float32)
    np.savez(file, **arrays)


def seconds_of_a_verdict() -> float:
    """Return the seconds for a verdict on 1,000,000 rows of 10 numbers, from the file's reference to the estimate."""
    random = np.random.default_rng(0)
    before = reference(random.standard_normal((MAX_ROWS, 10), dtype=np.float32))
    window = random.standard_normal((1_000_000, 10), dtype=np.float32)
    probabilities = np.tile(np.array([0.9, 0.1], dtype=np.float32), (len(window), 1))
    started = time.perf_counter()
    verdict = judge(Baseline(before), window, HOUR)
    found = estimate(before, window, probabilities, verdict.domain)
    seconds = time.perf_counter() - started
    assert verdict.outcome == "no drift"
    assert found.accuracy is not None
    return seconds

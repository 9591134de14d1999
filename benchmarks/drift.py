"""Drift: how often it is found, and how often it is cried for nothing.

    python -m benchmarks.drift [--years 200]

Starts no program. Windows and references are drawn from known distributions, so that each alarm is known to be right
or wrong; each rate has a one-sided 95 % bound (Clopper-Pearson).

- Years of hourly windows without drift, each with a reference of its own: the share with any alarm. Windows are
  judged many at once by the functions that `judge` calls; some of each year are compared with what it says.
- Single windows of 100,000 and 1,000,000 rows like those of the reference, and the reference itself many times over.
- The window in which a shift of one feature is found, by `judge`.
- The time of one verdict on 1,000,000 rows of 10 features, with the estimate of the accuracy.
- Evidently's preset on windows of the same kind, and its time. Its packages are installed from the network.
- The estimate without labels against the truth, on tables like those of two examples, with a drift of features.
- A challenger that is as good as the champion: the share of years of daily looks in which it is called better.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from scipy.stats import binomtest

from benchmarks import drift_estimate, drift_windows
from benchmarks.serve_peers import REPO, isolated_python
from penguins.monitoring.sequential import ALPHA, log_capital

DAYS = 365
DISCORDANT_A_DAY = 20
CHALLENGERS = 5_000
SHIFTS = 300
SINGLE = 60
MODELS = 150
OF_EVIDENTLY = 100
EVIDENTLY = ("evidently", "pandas<3")  # 0.7.23 doesn't import with pandas 3


def upper(hits: int, of: int) -> float:
    """Return the 95 % bound from above of a rate."""
    return float(binomtest(hits, of, alternative="less").proportion_ci(0.95).high)


def lower(hits: int, of: int) -> float:
    """Return the 95 % bound from below of a rate."""
    return float(binomtest(hits, of, alternative="greater").proportion_ci(0.95).low)


def repeat(work: Callable[..., Any], *arguments: Any, times: int) -> list[Any]:
    """Call `work` with the arguments and a number that differs each time, in as many processes as there are cores."""
    return list(joblib.Parallel(n_jobs=-1)(joblib.delayed(work)(*arguments, number) for number in range(times)))


def false_promotions(seed: int = 0) -> int:
    """Return how many of `CHALLENGERS` that are as good as the champion are called better on some day of a year."""
    random = np.random.default_rng(seed)
    rows = random.poisson(DISCORDANT_A_DAY, (CHALLENGERS, DAYS))
    gained = np.cumsum(random.binomial(rows, 0.5), axis=1)
    capital = log_capital(gained, np.cumsum(rows, axis=1) - gained)
    return int((capital >= -np.log(ALPHA)).any(axis=1).sum())


def show(name: str, result: str, bound: str = "") -> None:
    """Print a result when it is there."""
    print(f"{name:<62}{result:>16}{bound:>12}", flush=True)


def years_with_alarm(rows: int, years: int) -> float:
    """Print the share of years with an alarm, and return its bound."""
    alarms = sum(found > 0 for found in repeat(drift_windows.alarms_of_a_year, rows, times=years))
    bound = upper(alarms, years)
    show(f"years of hourly windows of {rows:,} rows with an alarm", f"{alarms} of {years}", f"≤ {bound:.1%}")
    return bound


def single_windows() -> None:
    """Print how many large windows without drift raise an alarm."""
    for rows in (100_000, 1_000_000):
        alarms = sum(repeat(drift_windows.is_alarmed_by_itself, rows, times=SINGLE))
        bound = f"≤ {upper(alarms, SINGLE):.1%}"
        show(f"single windows of {rows:,} rows with an alarm", f"{alarms} of {SINGLE}", bound)


def found_within(shift: float, windows: int) -> float:
    """Print how often a shift is found within some windows, and return the bound."""
    found = sum(repeat(drift_windows.is_found, shift, windows, times=SHIFTS))
    bound = lower(found, SHIFTS)
    name = f"{shift:g} sd in one feature, 200 rows, found within {windows}"
    show(name, f"{found} of {SHIFTS}", f"≥ {bound:.1%}")
    return bound


def estimates() -> tuple[float, float]:
    """Print how near the estimates are, and return the larger mean error and the bound of the coverage."""
    errors, covered = [], []
    for name in drift_estimate.CONTRACTS:
        results = [each for each in repeat(drift_estimate.measure, name, times=MODELS) if each is not None]
        errors.append(float(np.mean([each.error for each in results])))
        covered += [each.covered for each in results]
        show(f"mean error without labels, {name}", f"{100 * errors[-1]:.2f} points")
        show("  refused", f"{MODELS - len(results)} of {MODELS}")
    bound = lower(sum(covered), len(covered))
    show("intervals that cover the truth", f"{sum(covered)} of {len(covered)}", f"≥ {bound:.1%}")
    return max(errors), bound


def evidently() -> None:
    """Print what evidently's preset says about windows of the same kind, in an environment of its own."""
    with tempfile.TemporaryDirectory() as folder:
        python = isolated_python(Path(folder, "isolated"), EVIDENTLY)
        file = Path(folder, "windows.npz")
        drift_windows.save(file, OF_EVIDENTLY)
        command = [python, "-m", "benchmarks.drift_evidently", str(file)]
        done = subprocess.run(command, check=True, cwd=REPO, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)
    for name, number in found.items():
        if name != "seconds":
            show(f"evidently, {name}: a column drifted", f"{number} of {OF_EVIDENTLY}")
    show("evidently, 1,000,000 rows of 10 features", f"{found['seconds']:.2f} s")


def main() -> None:
    """Measure and print everything, and the marks in the last line: rates by their bounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, default=200, help="simulated years (default 200)")
    years = parser.parse_args().years
    half_sd, _ = found_within(0.5, 6), found_within(1.0, 2)
    single_windows()
    seconds = min(drift_windows.seconds_of_a_verdict() for _ in range(3))
    show("a verdict on 1,000,000 rows of 10 features", f"{seconds:.2f} s")
    evidently()
    error, coverage = estimates()
    wrong = false_promotions()
    promotions = upper(wrong, CHALLENGERS)
    show("years of daily looks with a false promotion", f"{wrong} of {CHALLENGERS}", f"≤ {promotions:.1%}")
    small, large = years_with_alarm(50, years), years_with_alarm(1_000, years)
    print(
        f"alarm_years_50={small:.4f} alarm_years_1k={large:.4f} found_half_sd={half_sd:.4f} seconds_1m={seconds:.2f} "
        f"estimate_error={error:.4f} coverage={coverage:.4f} false_promotions={promotions:.4f}"
    )


if __name__ == "__main__":
    main()

"""Verdicts about windows: what is found, and what is not cried wolf over."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from contract.encoding import Matrix
from penguins.monitoring.baseline import Baseline
from penguins.monitoring.drift import Verdict, alpha_of, judge
from penguins.registry.reference import Reference
from tests.penguins.monitoring.windows import fresh, mixed, numbers

HOUR = alpha_of(timedelta(hours=1))


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return mixed()


def drifted(verdict: Verdict) -> set[tuple[str, str]]:
    return {(each.feature, each.aspect) for each in verdict.changes if each.drifted}


def test_the_levels_of_a_year_add_up_to_the_budget() -> None:
    assert sum([HOUR] * 24 * 365) == pytest.approx(0.01, rel=1e-3)
    assert alpha_of(timedelta(days=4000)) == 0.01


@pytest.mark.parametrize("rows", [0, 1, 29])
def test_few_rows_give_no_verdict_but_the_shift_that_they_could_show(baseline: Baseline, rows: int) -> None:
    verdict = judge(baseline, fresh(300)[:rows] + 100, HOUR)
    assert (verdict.outcome, verdict.rows, verdict.changes) == ("too few rows", rows, ())
    assert verdict.detectable == np.inf or (rows == 29 and 1 < verdict.detectable < 2.5)
    assert judge(baseline, fresh(300)[:30], HOUR).outcome == "no drift"


def test_a_version_without_reference_gets_no_verdict(baseline: Baseline) -> None:
    assert judge(None, fresh(300), HOUR).outcome == "no reference"
    summary = baseline.reference.summary.model_copy(update={"rows": 0})
    empty = Baseline(replace(baseline.reference, summary=summary, sample=baseline.reference.sample[:0]))
    assert judge(empty, fresh(300), HOUR).outcome == "no reference"


@pytest.mark.parametrize("rows", [30, 300, 5000, 20_000])
def test_other_rows_of_the_same_kind_are_no_drift(baseline: Baseline, rows: int) -> None:
    verdict = judge(baseline, fresh(rows), HOUR)
    assert (verdict.outcome, verdict.features) == ("no drift", ())
    assert {each.aspect for each in verdict.changes if each.feature == "year"} == {"values", "missing"}


@pytest.mark.parametrize("times", [1, 2, 5, 60])
def test_the_reference_many_times_over_is_no_drift(baseline: Baseline, times: int) -> None:
    verdict = judge(baseline, np.tile(baseline.reference.sample, (times, 1)), HOUR)
    assert verdict.outcome == "no drift"
    assert min(each.p for each in verdict.changes) > 0.99
    assert max(each.effect for each in verdict.changes) < 1e-6


def test_each_kind_of_feature_is_seen(baseline: Baseline) -> None:
    def changed(place: int, value: float, share: float = 1.0) -> Matrix:
        window = fresh(300)
        window[: int(share * 300), place] = value
        return window

    moved = fresh(300)
    moved[:, 0] += 15
    for window, feature, aspect in (
        (moved, "mean 'radius' %", "values"),
        (changed(0, np.nan, 0.7), "mean 'radius' %", "missing"),
        (changed(1, np.nan), "year", "missing"),  # all of them
        (changed(2, 1, 0.6), "island 🐧", "values"),
        (changed(2, 3, 0.6), "island 🐧", "values"),  # missing categories
        (changed(4, 1, 0.8), "is adult", "values"),
        (changed(5, 0), "height", "values"),  # a constant
        (changed(5, 1e30), "height", "values"),
    ):
        verdict = judge(baseline, window, HOUR)
        assert verdict.outcome == "drift"
        assert (feature, aspect) in drifted(verdict)
        assert feature in verdict.features


def test_one_class_only_is_seen() -> None:
    """A window whose rows are all of one class, as when a client sends only those."""
    baseline, rows = numbers()
    order = np.argsort(rows.sum(axis=1))
    verdict = judge(baseline, rows[order[-200:]], HOUR)
    assert verdict.outcome == "drift"


def constant(value: float, rows: int = 500) -> Baseline:
    baseline, _ = numbers()
    sample = baseline.reference.sample[:rows].copy()
    sample[:, 0] = value
    summary = baseline.reference.summary.model_copy(update={"rows": rows})
    return Baseline(replace(baseline.reference, summary=summary, sample=sample))


def test_a_constant_feature_stays_one_or_is_drift() -> None:
    baseline = constant(5)
    _, rows = numbers()
    window = rows[:200].copy()
    window[:, 0] = 5
    assert judge(baseline, window, HOUR).outcome == "no drift"
    window[:20, 0] = 6
    verdict = judge(baseline, window, HOUR)
    assert drifted(verdict) == {("mean radius", "values")}
    assert verdict.changes[0].effect == np.inf
    always_missing = constant(np.nan)
    window[:, 0] = np.nan
    assert judge(always_missing, window, HOUR).outcome == "no drift"
    window[:20, 0] = 6
    assert drifted(judge(always_missing, window, HOUR)) == {("mean radius", "missing")}


def test_a_category_that_was_never_seen_is_seen() -> None:
    reference = mixed().reference
    kept = reference.sample[reference.sample[:, 3] != 2]
    summary = reference.summary.model_copy(update={"rows": len(kept)})
    without = Baseline(Reference(summary, kept, reference.probabilities, reference.labels))
    window = fresh(300)
    assert ("grade", "values") in drifted(judge(without, window, HOUR))


def test_many_values_that_are_equal_are_counted() -> None:
    """Nine tenths are 0, as of an amount that most don't have: half of those gone is little of the distribution."""
    baseline, rows = numbers()
    random = np.random.default_rng(0)

    def sparse(count: int, share: float) -> Matrix:
        found = rows[random.integers(len(rows), size=count)].copy()
        found[random.random(count) < share, 0] = 0
        return found

    summary = baseline.reference.summary.model_copy(update={"rows": 2000})
    before = Baseline(replace(baseline.reference, summary=summary, sample=sparse(2000, 0.9)))
    assert judge(before, sparse(100, 0.9), HOUR).outcome == "no drift"
    verdict = judge(before, sparse(100, 0.62), HOUR)
    assert ("mean radius", "values") in drifted(verdict)
    for count in (5_000, 5_001):  # a change of so many rows is no small one, however near the numbers are
        near = sparse(count, 0.9)
        near[:, 0] = np.where(near[:, 0] == 0, random.random(count) < 0.1, near[:, 0])
        assert ("mean radius", "values") in drifted(judge(before, near, HOUR))


def test_with_many_rows_a_small_difference_is_no_drift(baseline: Baseline) -> None:
    """It is significant, as any difference is with enough rows."""
    window = fresh(200_000)
    spread = np.nanstd(window[:, 5])
    small, large = window.copy(), window.copy()
    small[:, 5] += np.float32(0.07 * spread)
    large[:, 5] += np.float32(0.3 * spread)
    assert drifted(judge(baseline, large, HOUR)) == {("height", "values")}
    assert drifted(judge(baseline, large[:5000], HOUR)) == {("height", "values")}
    verdict = judge(baseline, small, 1.0)
    (change,) = (each for each in verdict.changes if each.feature == "height")
    assert change.p < 0.5
    assert change.effect == pytest.approx(0.07, abs=0.03)
    assert (verdict.outcome, drifted(verdict), verdict.domain_drifted) == ("no drift", set(), False)
    assert ("height", "values") in drifted(judge(baseline, small[:5000], 1.0))


def test_features_that_no_longer_go_together_are_seen_by_all_at_once() -> None:
    random = np.random.default_rng(0)
    baseline, _ = numbers()

    def pairs(count: int, correlation: float) -> Matrix:
        return random.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], count).astype(np.float32)

    summary = baseline.reference.summary.model_copy(update={"rows": 2000})
    before = Baseline(replace(baseline.reference, summary=summary, sample=pairs(2000, 0.8)))
    assert judge(before, pairs(1000, 0.8), HOUR).outcome == "no drift"
    verdict = judge(before, pairs(1000, 0.0), HOUR)
    assert (verdict.outcome, verdict.domain_drifted, drifted(verdict)) == ("drift", True, set())
    assert set(verdict.features) == {"mean radius", "od280/od315 %"}


def test_features_that_are_not_logged_are_not_compared(baseline: Baseline) -> None:
    features = [
        each.model_copy(update={"logged": each.name != "height"}) for each in baseline.reference.summary.features
    ]
    summary = baseline.reference.summary.model_copy(update={"features": features})
    window = fresh(300)
    window[:, 5] = np.nan  # as the log has it
    verdict = judge(Baseline(replace(baseline.reference, summary=summary)), window, HOUR)
    assert verdict.outcome == "no drift"
    assert "height" not in {each.feature for each in verdict.changes}
    nothing = summary.model_copy(update={"features": [each.model_copy(update={"logged": False}) for each in features]})
    assert judge(Baseline(replace(baseline.reference, summary=nothing)), window, HOUR).outcome == "no reference"


def test_windows_without_drift_are_alarmed_no_more_often_than_the_level_says(baseline: Baseline) -> None:
    windows = fresh(20_000).reshape(400, 50, -1)
    alarms = sum(judge(baseline, window, 0.1).outcome == "drift" for window in windows)
    assert alarms <= 400 * 0.1 + 3 * 6

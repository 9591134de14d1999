"""Judge whether a window of predictions still looks like the rows that its model learned from.

Who looks every hour for years must not be alarmed by chance, and all windows share one reference, so that their
p-values depend on each other. The levels of all looks of a year add up to a budget, which holds whatever the dependence
(C. E. Bonferroni, 1936): each look has the same part of it. docs/explanation/monitoring.md explains the rules.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

import numpy as np
from scipy.stats import false_discovery_control

from contract.encoding import Matrix
from penguins.monitoring.baseline import Aspect, Baseline, Comparison, p_values
from penguins.monitoring.domain import DomainShift
from penguins.monitoring.two_samples import detectable_shift

Outcome = Literal["no reference", "too few rows", "no drift", "drift"]

FALSE_ALARMS_A_YEAR: Final = 0.01
"""Most false alarms that are to be expected of a contract in a year: one in a hundred years."""

FEWEST_ROWS: Final = 30
"""Rows without which there is no verdict."""

MANY_ROWS: Final = 5_000
"""Rows above which a difference must also be large: with enough rows any real one is significant."""

LEAST_MOVE: Final = 0.1
"""Standard deviations that numbers must have moved on average, with many rows."""

LEAST_SHARE: Final = 0.05
"""Share of the rows that must have changed what is counted, with many rows: a category, whether a value is missing, or
a single number that many rows have. Of numbers it suffices, too."""

LEAST_AUC: Final = 0.55
"""AUC that the domain classifier must have, with many rows."""

_YEAR: Final = timedelta(days=365.25)


@dataclass(frozen=True)
class Change:
    """The difference between window and reference in one aspect of a feature.

    Attributes:
        p: p-value, adjusted for the number of comparisons.
        effect: mean distance that numbers moved, in standard deviations, or else the share of rows that changed.
        drifted: whether it is an alarm.
    """

    feature: str
    aspect: Aspect
    p: float
    effect: float
    drifted: bool


@dataclass(frozen=True)
class Verdict:
    """The judgement of a window.

    Attributes:
        alpha: level of this one look.
        detectable: shift of a number, in standard deviations, that would be found in such a window with 80 % power.
        domain_drifted: whether rows can be told from the reference by all features at once.
        features: names of the features that drifted, or that a window is told by.
    """

    outcome: Outcome
    rows: int
    alpha: float = 0.0
    detectable: float = float("inf")
    changes: tuple[Change, ...] = ()
    domain: DomainShift | None = None
    domain_drifted: bool = False
    features: tuple[str, ...] = ()


def alpha_of(window: timedelta) -> float:
    """Return the level of one look at a window of that length, such that those of a year add up to the budget."""
    return FALSE_ALARMS_A_YEAR * min(1.0, window / _YEAR)


def judge(baseline: Baseline | None, window: Matrix, alpha: float) -> Verdict:
    """Judge a window `[n, features]`.

    Args:
        baseline: None for a version that was registered without a reference.
    """
    rows = len(window)
    if baseline is None or not baseline.rows or not baseline.logged:
        return Verdict("no reference", rows, alpha)
    detectable = detectable_shift(rows, baseline.rows, _level_of_one(alpha, len(baseline.logged)))
    if rows < FEWEST_ROWS:
        return Verdict("too few rows", rows, alpha, detectable)
    compared, p, domain = look(baseline, window)
    changes = tuple(_change(each, float(value), rows, alpha) for each, value in zip(compared, p, strict=True))
    drifted = domain is not None and domain.p <= alpha / 2 and (rows <= MANY_ROWS or domain.auc >= LEAST_AUC)
    names = [each.feature for each in changes if each.drifted]
    names += domain.features if domain is not None and drifted else ()
    return Verdict(
        outcome="drift" if drifted or names else "no drift",
        rows=rows,
        alpha=alpha,
        detectable=detectable,
        changes=changes,
        domain=domain,
        domain_drifted=drifted,
        features=tuple(dict.fromkeys(names)),
    )


def look(baseline: Baseline, window: Matrix) -> tuple[list[Comparison], np.ndarray, DomainShift | None]:
    """Compare a window with the reference: each feature, and all at once.

    Returns:
        The comparisons, and their p-values adjusted for their number (Y. Benjamini, Y. Hochberg, Journal of the Royal
        Statistical Society B 57(1), 1995).
    """
    compared = baseline.compare(window)
    domain = baseline.domain.compare(window) if baseline.domain is not None else None
    return compared, np.asarray(false_discovery_control(p_values(compared))), domain


def _change(compared: Comparison, p: float, rows: int, alpha: float) -> Change:
    effect = compared.effect()
    is_large = compared.share() >= LEAST_SHARE or (compared.numbers is not None and effect >= LEAST_MOVE)
    drifted = p <= alpha / 2 and (rows <= MANY_ROWS or is_large)
    return Change(compared.feature.name, compared.aspect, p, effect, drifted)


def _level_of_one(alpha: float, features: int) -> float:
    """Return the level at which one feature's shift alone is found: half of the look's, for one of two tests."""
    return alpha / 2 / features / 2

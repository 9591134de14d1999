"""Numbers of each feature of a window, with counts of reference and window to draw, to be kept as JSON."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from contract.encoding import Matrix, codes
from contract.manifest import Feature
from penguins.monitoring.baseline import Values
from penguins.monitoring.drift import Change, Verdict
from penguins.registry.reference import Reference

MOST_DRAWN: Final = 50
"""Features with counts: of more, those with the smallest p-values."""

BINS: Final = 20
_TAIL: Final = 0.01  # share of the reference in the first bin and in the last one, which are open
_MOST_VALUES: Final = 30  # categories; the others together are one more


def describe(verdict: Verdict, features: Sequence[Feature], reference: Reference, window: Matrix) -> dict[str, Any]:
    """Return a verdict's numbers by feature, those of all features at once, and the level of the look."""
    changes: dict[str, list[Change]] = {}
    for change in verdict.changes:
        changes.setdefault(change.feature, []).append(change)
    order = sorted(changes, key=lambda name: min(change.p for change in changes[name]))
    drawn = set((order or [feature.name for feature in features])[:MOST_DRAWN])
    found = []
    for place, feature in enumerate(features):
        summary, values = reference.summary.features[place], window[:, place]
        if not summary.logged:
            continue
        entry: dict[str, Any] = {
            "name": feature.name,
            "kind": summary.kind,
            "unit": feature.unit,
            "missing": {"reference": summary.missing, "window": _missing(feature, values)},
            "aspects": {change.aspect: _aspect(change) for change in changes.get(feature.name, [])},
        }
        if feature.name in drawn:
            sample = reference.sample[:, place]
            entry["counts"] = _bins(sample, values) if feature.is_numeric else _values(feature, summary.counts, values)
        found.append(entry)
    domain = verdict.domain
    return {
        "alpha": verdict.alpha,
        "detectable": _finite(verdict.detectable),
        "domain": None
        if domain is None
        else {**vars(domain), "features": list(domain.features), "drifted": verdict.domain_drifted},
        "features": found,
    }


def _aspect(change: Change) -> dict[str, Any]:
    return {"p": change.p, "effect": _finite(change.effect), "drifted": bool(change.drifted)}


def _missing(feature: Feature, values: Values) -> float | None:
    if not len(values):
        return None
    return float(
        (np.isnan(values) if feature.is_numeric else np.isnan(values) | (values == len(codes(feature)))).mean()
    )


def _bins(sample: Values, values: Values) -> dict[str, Any]:
    """Count numbers in bins of equal width, whose edges depend on the reference alone: windows can be compared."""
    present = sample[~np.isnan(sample)]
    if not len(present):
        return {"edges": [], "reference": [0], "window": [int((~np.isnan(values)).sum())]}
    low, high = np.quantile(present.astype(np.float64), (_TAIL, 1 - _TAIL))
    edges = np.linspace(low, high, BINS - 1) if high > low else np.array([low, np.nextafter(np.float32(low), np.inf)])
    return {"edges": edges.tolist(), "reference": _count(edges, present), "window": _count(edges, values)}


def _count(edges: np.ndarray, values: Values) -> list[int]:
    """Count the numbers below the first edge, between each two, and from the last one on."""
    places = np.searchsorted(edges, values[~np.isnan(values)], "right")
    return [int(count) for count in np.bincount(places, minlength=len(edges) + 1)]


def _values(feature: Feature, before: Sequence[int], values: Values) -> dict[str, Any]:
    names = [*map(str, codes(feature)), None]  # the last one is missing
    last = len(names) - 1
    after = np.bincount(np.clip(np.nan_to_num(values, nan=last), 0, last).astype(int), minlength=len(names)).tolist()
    together = [one / max(1, sum(before)) + two / max(1, sum(after)) for one, two in zip(before, after, strict=True)]
    shown = sorted(sorted(range(len(names)), key=lambda place: -together[place])[:_MOST_VALUES])
    rest = [sum(side) - sum(side[place] for place in shown) for side in (before, after)]
    return {
        "values": [names[place] for place in shown],
        "reference": [before[place] for place in shown],
        "window": [after[place] for place in shown],
        "others": rest,
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None

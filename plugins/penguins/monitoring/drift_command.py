"""`make drift`: judge a window of the prediction log by the reference of the version in Production."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from psycopg import Connection
from rich.console import Console
from rich.table import Table

from contract.encoding import codes
from contract.manifest import Feature, Manifest
from penguins.errors import UserError
from penguins.monitoring.baseline import Baseline
from penguins.monitoring.drift import FALSE_ALARMS_A_YEAR, FEWEST_ROWS, Change, Verdict, alpha_of, judge
from penguins.monitoring.estimate import Estimate, Interval, estimate
from penguins.monitoring.times import parse_time
from penguins.monitoring.windows import Window, read_window
from penguins.promotion.reasons import to_plain_text
from penguins.registry import model_versions
from penguins.registry.manifests import read_manifest
from penguins.registry.reference import Reference
from penguins.registry.references import read_reference

_SHOWN_CODES: Final = 3
_MEDIAN: Final = 3  # of the quantiles


def show(connection: Connection[Any], out: Console, arguments: argparse.Namespace) -> None:
    """Judge the rows that the version in Production answered in some time, and print the verdict.

    Raises:
        UserError: the times can't be used, nothing is in Production, or its files can't be read.
    """
    until = parse_time("UNTIL", arguments.until) or datetime.now(UTC)
    since = parse_time("SINCE", arguments.since) or until - timedelta(hours=1)
    if since >= until:
        raise UserError(f"SINCE={arguments.since} isn't before UNTIL={arguments.until or 'now'}.")
    champion = model_versions.production(arguments.model)
    if champion is None:
        raise UserError(f"Nothing of {arguments.model} is in Production: there is nothing to compare with.")
    manifest, reference = read_manifest(champion), read_reference(champion)
    name = f"{to_plain_text(champion.name)} version {champion.version}"
    if manifest is None or reference is None:
        raise UserError(f"{name} was registered without a reference, by hand or before there were any. Train again.")
    window = read_window(connection, manifest.contract, champion.name, champion.version, since, until)
    verdict = judge(Baseline(reference), window.features, alpha_of(until - since))
    out.print(f"{name}, {_text(since)} to {_text(until)} UTC: {window.total:,} rows", soft_wrap=True)
    if verdict.changes:
        out.print("", _table(verdict, manifest, reference, window), "", sep="\n")
    for line in _lines(verdict, estimate(reference, window.features, window.probabilities, verdict.domain), manifest):
        out.print(line, soft_wrap=True)


def _text(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _table(verdict: Verdict, manifest: Manifest, reference: Reference, window: Window) -> Table:
    table = Table("feature", "in training", "in the window", "moved by", "p", "", box=None)
    places = {feature.name: place for place, feature in enumerate(manifest.features)}
    for change in verdict.changes:
        place = places[change.feature]
        values = _sides(change, manifest.features[place], reference, window.features[:, place], place)
        is_number = change.aspect == "values" and manifest.features[place].is_numeric
        moved = f"{change.effect:.2f} sd" if is_number else f"{change.effect:.1%} of rows"
        cells = [change.feature, *values, moved, f"{change.p:.2g}", "drift" if change.drifted else ""]
        table.add_row(*map(to_plain_text, cells))
    return table


def _sides(change: Change, feature: Feature, reference: Reference, window: np.ndarray, place: int) -> tuple[str, str]:
    """Describe a feature in the training rows and in the window."""
    before = reference.summary.features[place]
    if change.aspect == "missing":
        return f"{before.missing:.1%} missing", f"{np.isnan(window).mean():.1%} missing"
    if feature.is_numeric:
        present = window[~np.isnan(window)]
        median = f"median {before.quantiles[_MEDIAN]:.4g}" if before.quantiles else "always missing"
        return median, f"median {np.median(present):.4g}" if len(present) else "always missing"
    names = [*map(str, codes(feature)), "missing"]
    after = np.bincount(np.nan_to_num(window, nan=len(names) - 1).astype(int), minlength=len(names))
    return _shares(names, before.counts), _shares(names, after.tolist())


def _shares(names: Sequence[str], counts: Sequence[int]) -> str:
    """Name the most frequent values with their shares."""
    order = sorted(range(len(counts)), key=lambda place: -counts[place])[:_SHOWN_CODES]
    return ", ".join(f"{names[place]} {counts[place] / sum(counts):.0%}" for place in order if counts[place])


def _lines(verdict: Verdict, found: Estimate, manifest: Manifest) -> list[str]:
    lines = []
    if verdict.domain is not None:
        lines.append(f"All features at once: AUC {verdict.domain.auc:.3f}, p = {verdict.domain.p:.2g}.")
    years = 1 / FALSE_ALARMS_A_YEAR
    shift = (
        f"a shift of {verdict.detectable:.2g} standard deviations" if np.isfinite(verdict.detectable) else "no shift"
    )
    seen = f"In so many rows {shift} of a number would be found with 80 % power."
    if verdict.outcome == "no reference":
        lines.append("No verdict: the prediction log keeps no feature of this contract, or the reference has no rows.")
    elif verdict.outcome == "too few rows":
        lines.append(f"No verdict: at least {FEWEST_ROWS} rows are needed. {seen}")
    elif verdict.outcome == "drift":
        lines.append(f"Drift: {to_plain_text(', '.join(verdict.features))}.")
    else:
        lines.append(f"No drift. {seen} Looking at each such window raises one false alarm in {years:.0f} years.")
    if found.accuracy is None:
        lines.append(f"No estimate of the accuracy: {found.refusal}.")
    else:
        lines.append(f"Accuracy, estimated without labels: {_interval(found.accuracy)}.")
        recalls = zip(manifest.classes, found.recalls, strict=True)
        shown = [f"{name} {_interval(each)}" for name, each in recalls if each is not None]
        lines.append(f"Recall: {to_plain_text('; '.join(shown))}.")
    return lines


def _interval(found: Interval) -> str:
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"

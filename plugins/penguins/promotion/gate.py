"""The gate: decide whether a challenger replaces the version in Production.

docs/explanation/adr/0005-the-gate.md has the reasons for the rule.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, recall_score

from penguins.data.contract import PENGUINS
from penguins.data.dataset import Dataset
from penguins.errors import UserError
from penguins.promotion.shared_rows import find_shared_rows
from penguins.registry import model_versions
from penguins.settings import settings
from penguins.training.tracking import NUMBER, parse_tag

# Many close results have a p-value of exactly 0.5; an error in the last digit must not exceed the limit.
_ROUNDING: Final = 1e-9


class Classifier(Protocol):
    """A model that predicts labels, such as a classifier of scikit-learn."""

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        """Predict labels `[n]` for rows `[n, 4]`."""


@dataclass(frozen=True)
class Comparison:
    """Two models' answers for the same rows.

    Attributes:
        rows: number of rows that both were judged on.
        accuracy, champion_accuracy: share of right answers.
        gained, lost: number of rows that only the challenger, or only the champion, has right.
        p_value: of the one-sided exact McNemar test: the probability of at least `gained` of the `gained + lost` rows
            if both models were equally likely to be right on these rows (Q. McNemar, Psychometrika 12, 1947;
            T. G. Dietterich, Neural Computation 10(7), 1998).
        recalls: recall of the champion and of the challenger, by species.
    """

    champion: str
    rows: int
    accuracy: float
    champion_accuracy: float
    gained: int
    lost: int
    p_value: float
    recalls: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Verdict:
    """The gate's decision about a challenger, with its reason and the numbers behind it.

    Attributes:
        numbers: the fields of a Comparison or, without one, the `champion` if any, and the challenger's `accuracy` on
            the `rows` of the hold-out.
    """

    promote: bool
    reason: str
    numbers: dict[str, Any] = field(default_factory=dict)


def judge(challenger: Classifier, champion: ModelVersion | None, data: Dataset) -> Verdict:
    """Judge a challenger by the minimal accuracy and, on the same hold-out, against the version in Production."""
    answers = _answers(challenger, data)
    accuracy = float(accuracy_score(data.labels[data.holdout], answers))
    numbers = {"rows": len(answers), "accuracy": accuracy}
    if champion is None:
        verdict = Verdict(True, f"the first version, with an accuracy of {accuracy:.4f} on the hold-out", numbers)
    else:
        verdict = _compare_with_champion(champion, answers, data, numbers | {"champion": champion.version})
    if accuracy < (floor := settings().min_accuracy):
        reason = f"below the floor: the accuracy {accuracy:.4f} is less than the required {floor:g}"
        return Verdict(False, reason, verdict.numbers)
    return verdict


def _compare_with_champion(
    champion: ModelVersion, answers: np.ndarray, data: Dataset, numbers: dict[str, Any]
) -> Verdict:
    try:
        model = model_versions.load(model_versions.model_id(champion), model_versions.recorded_digests(champion))
        champion_answers = _answers(model, data)
    except UserError as error:
        return _without_champion(champion, error, numbers)
    rows, remark = find_shared_rows(champion, data)
    truth = data.labels[data.holdout]
    comparison = compare(truth[rows], answers[rows], champion_answers[rows], champion.version, data.contract.species)
    promote, reason = decide(comparison)
    return Verdict(promote, reason + remark, asdict(comparison))


def compare(
    truth: np.ndarray,
    challenger: np.ndarray,
    champion: np.ndarray,
    name: str,
    species: Sequence[str] = PENGUINS.species,
) -> Comparison:
    """Compare the answers `[n]` of challenger and champion (version `name`) with the truth `[n]`."""
    gained = int(((challenger == truth) & (champion != truth)).sum())
    lost = int(((challenger != truth) & (champion == truth)).sum())
    labels = np.unique(truth)
    recalls = zip(
        *(recall_score(truth, answers, labels=labels, average=None) for answers in (champion, challenger)), strict=True
    )
    return Comparison(
        champion=name,
        rows=len(truth),
        accuracy=float(accuracy_score(truth, challenger)),
        champion_accuracy=float(accuracy_score(truth, champion)),
        gained=gained,
        lost=lost,
        p_value=float(binomtest(gained, gained + lost, alternative="greater").pvalue) if gained + lost else 1.0,
        recalls={
            species[label]: (float(theirs), float(ours)) for label, (theirs, ours) in zip(labels, recalls, strict=True)
        },
    )


def decide(found: Comparison) -> tuple[bool, str]:
    """Apply the rule: right on more rows, a small enough p-value, and no large drop of any species' recall."""
    numbers = (
        f"accuracy on the same {found.rows} rows: {found.accuracy:.4f} against {found.champion_accuracy:.4f} "
        f"({found.gained} gained, {found.lost} lost, p = {found.p_value:.3g})"
    )
    if found.gained <= found.lost:
        return False, f"not better than version {found.champion}, {numbers}"
    if found.p_value > settings().max_p_value + _ROUNDING:
        return False, f"not surely better than version {found.champion}: p > {settings().max_p_value:g}, {numbers}"
    for species, (theirs, ours) in found.recalls.items():
        if theirs - ours > settings().max_recall_drop + _ROUNDING:
            return False, (
                f"worse than version {found.champion} at {species}: recall {ours:.4f} against {theirs:.4f}, "
                f"and a drop of {settings().max_recall_drop:g} is allowed; {numbers}"
            )
    return True, f"better than version {found.champion}, {numbers}"


def table(verdict: Verdict, challenger: str) -> str:
    """Format the verdict's numbers as a Markdown table, aligned for reading as text."""
    found = verdict.numbers
    champion = f"version {found['champion']}" if "champion" in found else "no champion"
    lines = [("", champion, f"version {challenger}")]
    theirs = found.get("champion_accuracy")
    lines.append(("accuracy", "" if theirs is None else f"{theirs:.4f}", f"{found['accuracy']:.4f}"))
    for species, (before, after) in found.get("recalls", {}).items():
        lines.append((f"recall {species}", f"{before:.4f}", f"{after:.4f}"))
    if "lost" in found:
        lines.append(("right where the other is wrong", str(found["lost"]), str(found["gained"])))
        lines.append(("p, exact McNemar test, one-sided", "", f"{found['p_value']:.3g}"))
    lines.append(("rows", "", str(found["rows"])))
    texts = [f"| {name:<32} | {before:>13} | {after:>13} |" for name, before, after in lines]
    return "\n".join([texts[0], f"|:{'-' * 33}|{'-' * 14}:|{'-' * 14}:|", *texts[1:]])


def _answers(model: Classifier, data: Dataset) -> np.ndarray:
    try:
        return np.asarray(model.predict(data.features.iloc[data.holdout]))
    except MemoryError:  # not an error of the model: a retry may succeed
        raise
    except Exception as error:  # libraries and pickles of other versions can raise any error
        raise UserError(f"it can't predict: {type(error).__name__}: {error}") from error


def _without_champion(champion: ModelVersion, error: UserError, numbers: dict[str, Any]) -> Verdict:
    """Judge without a champion that can't be loaded: promote unless its recorded accuracy is higher."""
    accuracy, recorded = numbers["accuracy"], parse_tag(NUMBER, champion.tags.get("holdout_accuracy")) or 0.0
    why = f"version {champion.version} can't be judged ({error}): an accuracy of {accuracy:.4f}"
    if accuracy < recorded:
        return Verdict(False, f"{why} is less than the {recorded:.4f} recorded for it. Promote by hand.", numbers)
    return Verdict(True, f"{why} on the hold-out takes its place", numbers)

"""The gate: decide whether a challenger replaces the version in Production.

docs/explanation/adr/0005-the-gate.md has the reasons for the rule.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, recall_score

from contract.training import Training
from penguins.data.dataset import Dataset
from penguins.promotion.opponents import Classifier, Opponent, SchemaChangedError, find_opponent, predict_holdout
from penguins.promotion.schema_change import SCHEMA_CHANGED
from penguins.promotion.shared_rows import find_shared_rows

# Many close results have a p-value of exactly 0.5; an error in the last digit must not exceed the limit.
_ROUNDING: Final = 1e-9


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
        recalls: recall of the champion and of the challenger, by class.
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
        asks: whether a person is to decide, because the gate can't.
    """

    promote: bool
    reason: str
    numbers: dict[str, Any] = field(default_factory=dict)
    asks: bool = False


def judge(
    challenger: Classifier,
    champion: ModelVersion | None,
    data: Dataset,
    earlier: Sequence[ModelVersion] = (),
    origins: Mapping[str, Run] = MappingProxyType({}),
) -> Verdict:
    """Judge a challenger by the minimal accuracy and, on the same hold-out, against the version in Production.

    Args:
        earlier: versions that were in Production before, the last one first. The first that can be judged stands in
            for a champion that can't, or that was deleted.
        origins: the recorded runs of these versions, by their numbers.
    """
    answers = predict_holdout(challenger, data)
    accuracy = float(accuracy_score(data.labels[data.holdout], answers))
    numbers = {"rows": len(answers), "accuracy": accuracy} | ({"champion": champion.version} if champion else {})
    before = [champion, *earlier] if champion else list(earlier)
    try:
        opponent, remark = find_opponent(before, data)
    except SchemaChangedError as error:
        verdict = _of_another_contract(error, numbers, data.contract.training)
    else:
        if opponent is not None:
            verdict = _compare_with(opponent, champion, answers, data, origins.get(opponent.version.version))
            if remark:
                verdict = replace(verdict, reason=f"{remark}, so {verdict.reason}")
        elif before:
            verdict = _without_opponent(before[0].version, origins.get(before[0].version), remark, numbers)
        else:
            verdict = Verdict(True, f"the first version, with an accuracy of {accuracy:.4f} on the hold-out", numbers)
    if accuracy < (floor := data.contract.training.min_accuracy):
        reason = f"below the floor: the accuracy {accuracy:.4f} is less than the required {floor:g}"
        return Verdict(False, reason, verdict.numbers)
    return verdict


def _compare_with(
    opponent: Opponent, champion: ModelVersion | None, answers: np.ndarray, data: Dataset, origin: Run | None
) -> Verdict:
    number = opponent.version.version
    rows, remark = find_shared_rows(number, origin.data.tags if origin else {}, data)
    truth = data.labels[data.holdout]
    comparison = compare(truth[rows], answers[rows], opponent.answers[rows], number, data.contract.classes)
    promote, reason = decide(comparison, data.contract.training)
    if promote and (worse := _worse_on_the_source(data, rows, answers, opponent)):
        promote, reason = False, f"{worse}; {reason}"
    if champion is None or champion.version != number:
        now = f"version {champion.version}" if champion else "nothing"
        advice = "" if promote else f". In Production is {now}: roll back to version {number}, or promote by hand"
        reason, remark = f"version {number} stands in: {reason}", f"{remark}{advice}"
    return Verdict(promote, reason + remark, asdict(comparison))


def _worse_on_the_source(data: Dataset, rows: np.ndarray, answers: np.ndarray, opponent: Opponent) -> str:
    """Return why a challenger is refused that learned from rows of the prediction log, or an empty text.

    Anybody may send a class to the log. Who learned from wrong ones may have those in the hold-out right, but is worse
    on the rows of the source.
    """
    of_source = rows & (data.holdout >= data.production_rows)
    if not data.production_rows or not of_source.any():
        return ""
    truth, number = data.labels[data.holdout][of_source], opponent.version.version
    found = compare(truth, answers[of_source], opponent.answers[of_source], number, data.contract.classes)
    if found.lost <= found.gained:
        return ""
    return (
        f"worse than version {number} on the {found.rows} rows that aren't of Production: {found.accuracy:.4f} against "
        f"{found.champion_accuracy:.4f} ({found.gained} gained, {found.lost} lost)"
    )


def compare(
    truth: np.ndarray,
    challenger: np.ndarray,
    champion: np.ndarray,
    name: str,
    classes: Sequence[str],
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
            classes[label]: (float(theirs), float(ours)) for label, (theirs, ours) in zip(labels, recalls, strict=True)
        },
    )


def decide(found: Comparison, training: Training) -> tuple[bool, str]:
    """Apply the rule: right on more rows, a small enough p-value, and no large drop of the recall of any class."""
    numbers = (
        f"accuracy on the same {found.rows} rows: {found.accuracy:.4f} against {found.champion_accuracy:.4f} "
        f"({found.gained} gained, {found.lost} lost, p = {found.p_value:.3g})"
    )
    if found.gained <= found.lost:
        return False, f"not better than version {found.champion}, {numbers}"
    if found.p_value > training.max_p_value + _ROUNDING:
        return False, f"not surely better than version {found.champion}: p > {training.max_p_value:g}, {numbers}"
    for name, (theirs, ours) in found.recalls.items():
        if theirs - ours > training.max_recall_drop + _ROUNDING:
            return False, (
                f"worse than version {found.champion} at {name}: recall {ours:.4f} against {theirs:.4f}, "
                f"and a drop of {training.max_recall_drop:g} is allowed; {numbers}"
            )
    return True, f"better than version {found.champion}, {numbers}"


def table(found: Mapping[str, Any], challenger: str) -> str:
    """Format a verdict's numbers as a Markdown table, aligned for reading as text."""
    champion = f"version {found['champion']}" if "champion" in found else "no champion"
    lines = [("", champion, f"version {challenger}")]
    theirs = found.get("champion_accuracy")
    lines.append(("accuracy", "" if theirs is None else f"{theirs:.4f}", f"{found['accuracy']:.4f}"))
    for name, (before, after) in found.get("recalls", {}).items():
        lines.append((f"recall {name}".replace("|", "\\|"), f"{before:.4f}", f"{after:.4f}"))
    if "lost" in found:
        lines.append(("right where the other is wrong", str(found["lost"]), str(found["gained"])))
        lines.append(("p, exact McNemar test, one-sided", "", f"{found['p_value']:.3g}"))
    lines.append(("rows", "", str(found["rows"])))
    texts = [f"| {name:<32} | {before:>13} | {after:>13} |" for name, before, after in lines]
    return "\n".join([texts[0], f"|:{'-' * 33}|{'-' * 14}:|{'-' * 14}:|", *texts[1:]])


def _of_another_contract(error: SchemaChangedError, numbers: dict[str, Any], training: Training) -> Verdict:
    """Leave the decision to a person, or refuse, because the last version has another contract."""
    asks = training.schema_change == "ask"
    reason = f"{SCHEMA_CHANGED}: version {error.version.version} has another contract, so the two can't be compared: "
    remedy = "a person decides" if asks else "promote it by hand, for the contract's schemaChange is refuse"
    return Verdict(False, f"{reason}{error.change}; {remedy}", numbers, asks)


def _without_opponent(last: str, origin: Run | None, why: str, numbers: dict[str, Any]) -> Verdict:
    """Judge without a version that can be loaded: promote unless the recorded accuracy of the last one is higher."""
    accuracy, recorded = numbers["accuracy"], origin.data.metrics.get("holdout_accuracy", 0.0) if origin else 0.0
    why = f"{why}: an accuracy of {accuracy:.4f}"
    if accuracy < recorded:
        reason = f"{why} is less than the {recorded:.4f} recorded for version {last}. Promote by hand."
        return Verdict(False, reason, numbers)
    return Verdict(True, f"{why} on the hold-out takes its place", numbers)

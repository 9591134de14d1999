"""The answer to the page's question, in one sentence: can the model in Production still be trusted, and why?"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any, Final, Literal

from psycopg import Connection
from pydantic import BaseModel

from contract.schema import DataContract, dag_id_of
from penguins.ui.accuracy import Share
from penguins.ui.facts import Facts, read_facts

Level = Literal["yes", "doubtful", "no", "unknown"]

_LATE: Final = timedelta(minutes=15)  # the log must have arrived, and the DAG must have run
_MOST_NAMES: Final = 3
_ENOUGH: Final = 30  # true classes that say something by themselves
_ENOUGH_DRIFTED: Final = 100  # true classes that say more than a verdict on the rows


class Trust(BaseModel):
    """The answer: whether the version in Production can be trusted, and a sentence that says why."""

    level: Level
    version: str | None
    sentence: str


def read_trust(connection: Connection[Any], contract: DataContract, now: datetime) -> Trust:
    """Read what is known of the version in Production, and answer."""
    facts = read_facts(connection, contract, now)
    if facts is None:
        return Trust(level="unknown", version=None, sentence="Nothing is in Production, so there is nothing to trust.")
    level, sentence = answer(facts, contract, now)
    return Trust(level=level, version=facts.version, sentence=sentence)


def answer(facts: Facts, contract: DataContract, now: datetime) -> tuple[Level, str]:
    """Answer by the truth first, then by the rows, then by the estimate; silence is no good sign."""
    name, windows = f"version {facts.version}", facts.windows
    judge = dag_id_of(contract.name, "monitoring")
    if not windows:
        return "unknown", (
            f"Unknown: no window of {name} was judged yet. {judge} judges one every {contract.monitoring.window}."
        )
    if worse := _falls_short(facts, contract.monitoring.accuracy_floor):
        return "no", f"No: {worse}.{_asked(facts)}"
    if now - windows[0].end > 3 * contract.monitoring.window_length + _LATE:
        return "unknown", (
            f"Unknown since {_text(windows[0].end)}: no later window of {name} was judged. Does {judge} run?"
        )
    if less := _is_less_than_holdout(facts):
        return "doubtful", f"Doubtful: {less}.{_asked(facts)}"
    return _answer_by_rows(facts, name, contract.monitoring.accuracy_floor)


def _answer_by_rows(facts: Facts, name: str, floor: float | None) -> tuple[Level, str]:
    decided, why = facts.decided, _accuracy(facts)
    if decided and decided[0].verdict == "drifted":
        return _answer_by_drift(facts, name, floor)
    estimate = decided[0].estimate if decided else None
    if estimate and floor is not None and estimate.high < floor and facts.labelled < _ENOUGH:
        few = f" {why}" if facts.labelled else ""
        return (
            "doubtful",
            f"Doubtful: the accuracy of {name} is estimated at {estimate}, and the floor is {floor:.1%}.{few}",
        )
    if not decided:
        lacks = "came without a reference" if facts.windows[0].verdict == "no reference" else "had too few rows to say"
        if facts.labelled >= _ENOUGH:
            return "yes", f"Yes, by the truth alone: {why} Its rows can't be judged: {name} {lacks}."
        return "unknown", f"Unknown: {name} {lacks}. {why}"
    drifted = sum(each.verdict == "drifted" for each in decided)
    past = f", though {_count(drifted, 'earlier window')} drifted" if drifted else ""
    looked = "window looks" if len(decided) == 1 else f"{len(decided)} windows look"
    return "yes", f"Yes: the rows of the last {looked} like those that {name} learned from{past}. {why}"


def _answer_by_drift(facts: Facts, name: str, floor: float | None) -> tuple[Level, str]:
    """Answer while windows drift: what is right on these rows can be trusted with them."""
    in_row = list(takewhile(lambda each: each.verdict == "drifted", facts.decided))
    names = _names([feature for each in in_row for feature in each.features])
    since = f"since {_text(in_row[-1].start)}{f', for {len(in_row)} windows in a row' if len(in_row) > 1 else ''}"
    differ = f"{since}, the rows differ from those that {name} learned from, in {names}"
    labelled = sum(each.labelled for each in in_row)
    share = Share.of(sum(each.right for each in in_row), labelled)
    if share and labelled >= _ENOUGH_DRIFTED and _is_as_before(share, facts.holdout, floor):
        return (
            "yes",
            f"Yes, by the truth: {differ}, but it is right on {share} of the {labelled:,} whose class is known.",
        )
    return "doubtful", f"Doubtful: {differ}. {_accuracy(facts)}{_asked(facts)}"


def _is_as_before(share: Share, holdout: Share | None, floor: float | None) -> bool:
    """Tell whether an accuracy is surely above the floor, and not surely below that of the hold-out."""
    if holdout is None and floor is None:
        return False
    return (holdout is None or share.high >= holdout.low) and (floor is None or share.low >= floor)


def _falls_short(facts: Facts, floor: float | None) -> str:
    """Return what is below the floor: the accuracy in the last window with enough truth, or that of the week."""
    if floor is None:
        return ""
    last = next((each for each in facts.windows if each.labelled >= _ENOUGH), None)
    of_window = f"the {last.labelled:,} rows since {_text(last.start)} whose class is known" if last else ""
    shares = [(Share.of(last.right, last.labelled), of_window)] if last else []
    for share, of_what in (*shares, (facts.live, _of_week(facts))):
        if share and share.high < floor:
            return f"version {facts.version} is right on {share} of {of_what}, and the contract's floor is {floor:.1%}"
    return ""


def _is_less_than_holdout(facts: Facts) -> str:
    live, holdout = facts.live, facts.holdout
    if live is None or holdout is None or live.high >= holdout.low:
        return ""
    return f"version {facts.version} is right on {_known(facts)}, and was on {holdout} of its hold-out"


def _accuracy(facts: Facts) -> str:
    """Return what is known of the accuracy."""
    if facts.labelled:
        return f"It is right on {_known(facts)}."
    estimate = next((each.estimate for each in facts.decided[:1] if each.estimate), None)
    if estimate:
        return f"No true class is known; without any, the accuracy is estimated at {estimate}."
    return "No true class is known, and the accuracy can't be estimated."


def _known(facts: Facts) -> str:
    return f"{facts.live} of {_of_week(facts)}"


def _of_week(facts: Facts) -> str:
    return f"the {facts.labelled:,} rows of the last 7 days whose class is known"


def _asked(facts: Facts) -> str:
    if facts.asked is None:
        return ""
    became = "whose version answers in the shadow first" if facts.is_shadowed else "which hasn't ended"
    return f" Alarm {facts.asked} has asked for a training, {became}."


def _names(found: Sequence[str]) -> str:
    names = list(dict.fromkeys(found))
    if len(names) > _MOST_NAMES:
        return f"{', '.join(names[:_MOST_NAMES])} and {len(names) - _MOST_NAMES} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _text(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"

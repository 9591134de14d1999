"""The sentence that says whether the model in Production can be trusted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contract.monitoring import Monitoring
from penguins.ui.accuracy import Share
from penguins.ui.facts import Facts, Seen
from penguins.ui.trust import answer
from tests.penguins import ours

NOW = datetime(2026, 3, 1, 12, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
GOOD = Share(value=0.97, low=0.93, high=0.99)


def window(
    hours: int = 0, verdict: str = "stable", *features: str, estimate: Share | None = GOOD, **truth: int
) -> Seen:
    """Return the window that ended so many hours before noon."""
    end = NOW.replace(minute=0) - hours * HOUR
    known = {"labelled": 0, "right": 0} | truth
    start = end - HOUR
    return Seen(start=start, end=end, rows=400, verdict=verdict, features=list(features), estimate=estimate, **known)


def said(windows: list[Seen], right: int = 0, labelled: int = 0, floor: float | None = None, **facts: Any) -> str:
    """Return the answer, whose first word is its level."""
    contract = ours.contract().model_copy(update={"monitoring": Monitoring(accuracy_floor=floor)})
    known = {"holdout": None, "asked": None} | facts
    level, sentence = answer(
        Facts(version="3", windows=windows, right=right, labelled=labelled, **known), contract, NOW
    )
    assert sentence.lower().startswith(level)
    return sentence


def test_rows_like_those_of_the_training_are_trusted() -> None:
    assert said([window(0), window(1), window(2, "too few")]) == (
        "Yes: the rows of the last 2 windows look like those that version 3 learned from. No true class is known; "
        "without any, the accuracy is estimated at 97.0% (93.0% to 99.0%)."
    )
    assert "though 1 earlier window drifted" in said([window(0), window(1, "drifted", "mass")])


def test_drift_makes_doubtful_and_is_named_with_its_beginning() -> None:
    windows = [window(0, "drifted", "mass"), window(1, "too few"), window(2, "drifted", "mass", "length"), window(3)]
    assert said(windows, right=39, labelled=40, asked=7) == (
        "Doubtful: since 2026-03-01 09:00 UTC, for 2 windows in a row, the rows differ from those that version 3 "
        "learned from, in mass and length. It is right on 97.5% (87.1% to 99.6%) of the 40 rows of the last 7 days "
        "whose class is known. Alarm 7 has asked for a training, which hasn't ended."
    )
    shadowed = said(windows, asked=7, is_shadowed=True)
    assert shadowed.endswith("Alarm 7 has asked for a training, whose version answers in the shadow first.")
    assert "in a, b, c and 2 more." in said([window(0, "drifted", "a", "b", "c", "d", "e")])


def test_drifted_rows_that_are_answered_right_are_trusted() -> None:
    right = [window(0, "drifted", "mass", labelled=200, right=192), window(1, labelled=40, right=0)]
    assert said(right, right=192, labelled=200, holdout=GOOD) == (
        "Yes, by the truth: since 2026-03-01 11:00 UTC, the rows differ from those that version 3 learned from, in "
        "mass, but it is right on 96.0% (92.3% to 98.0%) of the 200 whose class is known."
    )
    assert said(right, right=192, labelled=200).startswith("Doubtful: ")  # compared with what?
    assert said(right, right=192, labelled=200, holdout=GOOD, floor=0.95).startswith("Doubtful: ")
    wrong = [window(0, "drifted", "mass", labelled=200, right=170)]
    assert said(wrong, right=1170, labelled=1200, holdout=GOOD).startswith("Doubtful: ")
    few = [window(0, "drifted", "mass", labelled=99, right=99)]
    assert said(few, right=99, labelled=99, holdout=GOOD).startswith("Doubtful: ")


def test_the_truth_counts_more_than_the_rows() -> None:
    low = said([window()], right=140, labelled=200, floor=0.9)
    assert low == (
        "No: version 3 is right on 70.0% (63.3% to 75.9%) of the 200 rows of the last 7 days whose class is known, and "
        "the contract's floor is 90.0%."
    )
    window_only = [window(labelled=40, right=20), window(1, labelled=400, right=400)]
    assert said(window_only, right=420, labelled=440, floor=0.9).startswith(
        "No: version 3 is right on 50.0% (35.2% to 64.8%) of the 40 rows since 2026-03-01 11:00 UTC whose "
    )
    assert said([window()], right=140, labelled=200, holdout=GOOD).startswith("Doubtful: version 3 is right on 70.0%")
    assert said([window()], right=180, labelled=200, floor=0.9).startswith("Yes: ")  # its interval has the floor in it
    few = [window(0, "too few", estimate=None)]
    assert said(few, right=39, labelled=40).startswith("Yes, by the truth alone: It is right on 97.5%")


def test_a_low_estimate_makes_doubtful_where_there_is_a_floor_and_hardly_any_truth() -> None:
    poor = [window(estimate=Share(value=0.7, low=0.6, high=0.8))]
    assert said(poor, floor=0.9) == (
        "Doubtful: the accuracy of version 3 is estimated at 70.0% (60.0% to 80.0%), and the floor is 90.0%."
    )
    assert said(poor).startswith("Yes: ")
    assert said(poor, right=1, labelled=1, floor=0.9) == (
        "Doubtful: the accuracy of version 3 is estimated at 70.0% (60.0% to 80.0%), and the floor is 90.0%. It is "
        "right on 100.0% (20.7% to 100.0%) of the 1 rows of the last 7 days whose class is known."
    )
    assert said(poor, right=95, labelled=100, floor=0.9).startswith("Yes: ")


@pytest.mark.parametrize(
    ("windows", "because"),
    [
        ([], "no window of version 3 was judged yet. penguins_monitoring judges one every 1h."),
        ([window(4)], "no later window of version 3 was judged. Does penguins_monitoring run?"),
        ([window(0, "too few", estimate=None)], "version 3 had too few rows to say. No true class is known, and"),
        ([window(0, "no reference", estimate=None)], "version 3 came without a reference."),
    ],
)
def test_silence_is_no_good_sign(windows: list[Seen], because: str) -> None:
    sentence = said(windows)
    assert sentence.startswith("Unknown")
    assert because in sentence

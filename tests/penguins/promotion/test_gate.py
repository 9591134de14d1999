"""The rule, on answers made up for it. tests/penguins/promotion/test_registration.py judges real versions."""

import re
from collections.abc import Iterator

import numpy as np
import pytest

from penguins.promotion import gate
from penguins.settings import settings
from tests.penguins import ours

TRUTH = np.repeat([0, 1, 2], [30, 14, 25])  # as many as are held out of the 342 penguins


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


def wrong_at(*rows: int) -> np.ndarray:
    answers = TRUTH.copy()
    answers[list(rows)] = (answers[list(rows)] + 1) % 3
    return answers


def decide(challenger: np.ndarray, champion: np.ndarray) -> tuple[bool, str]:
    contract = ours.contract()
    return gate.decide(gate.compare(TRUTH, challenger, champion, "7", contract.classes), contract.training)


@pytest.mark.parametrize(
    ("gained", "lost", "p_value"),
    # sums of binomial coefficients over 2 ** (gained + lost)
    [(0, 0, 1), (1, 0, 1 / 2), (2, 0, 1 / 4), (2, 1, 4 / 8), (3, 1, 5 / 16), (8, 2, 56 / 1024), (1, 2, 7 / 8)],
)
def test_the_p_value_is_that_of_the_exact_mcnemar_test(gained: int, lost: int, p_value: float) -> None:
    champion, challenger = wrong_at(*range(gained)), wrong_at(*range(10, 10 + lost))
    found = gate.compare(TRUTH, challenger, champion, "7", ours.contract().classes)
    assert (found.gained, found.lost, found.rows) == (gained, lost, 69)
    assert found.p_value == pytest.approx(p_value)
    assert found.accuracy - found.champion_accuracy == pytest.approx((gained - lost) / 69)


def test_right_on_more_rows_is_better() -> None:
    promoted, reason = decide(wrong_at(20), wrong_at(0, 1))
    assert promoted
    assert reason.startswith("better than version 7, accuracy on the same 69 rows: 0.9855 against 0.9710")
    assert "(2 gained, 1 lost, p = 0.5)" in reason


@pytest.mark.parametrize("challenger", [wrong_at(0), wrong_at(1), wrong_at(0, 1), wrong_at(40, 41)])
def test_as_many_or_fewer_keep_the_champion(challenger: np.ndarray) -> None:
    promoted, reason = decide(challenger, wrong_at(0))
    assert not promoted
    assert reason.startswith("not better than version 7")


def test_the_largest_p_value_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENGUINS_MAX_P_VALUE", "0.05")
    promoted, reason = decide(wrong_at(), wrong_at(0, 1, 2, 3))
    assert not promoted
    assert reason.startswith("not surely better than version 7: p > 0.05")
    assert decide(wrong_at(), wrong_at(0, 1, 2, 3, 4))[0]


def test_a_large_drop_of_one_species_recall_keeps_the_champion() -> None:
    champion = wrong_at(*range(6))
    assert decide(wrong_at(30), champion)[0]  # one of 14 Chinstraps: a drop of 0.07
    promoted, reason = decide(wrong_at(30, 31), champion)
    assert not promoted
    assert "worse than version 7 at Chinstrap: recall 0.8571 against 1.0000, and a drop of 0.1 is allowed" in reason


def test_the_allowed_drop_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENGUINS_MAX_RECALL_DROP", "0.2")
    assert decide(wrong_at(30, 31), wrong_at(*range(6)))[0]


def test_a_class_adds_no_columns_to_the_table() -> None:
    numbers = {"rows": 2, "accuracy": 0.5, "champion": "1", "recalls": {"a | 1.0000 | 1.0000 |": (0.5, 0.25)}}
    (row,) = (line for line in gate.table(numbers, "2").splitlines() if "recall" in line)
    assert re.split(r"(?<!\\)\|", row)[2:] == [f"{0.5:>14.4f} ", f"{0.25:>14.4f} ", ""]


def test_the_table_has_both_sides() -> None:
    found = gate.compare(TRUTH, wrong_at(20), wrong_at(0, 31), "7", ours.contract().classes)
    text = gate.table(gate.asdict(found), "8")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert lines[0] == ["", "version 7", "version 8"]
    assert ["accuracy", "0.9710", "0.9855"] in lines
    assert ["recall Chinstrap", "0.9286", "1.0000"] in lines
    assert ["right where the other is wrong", "1", "2"] in lines
    assert ["p, exact McNemar test, one-sided", "", "0.5"] in lines

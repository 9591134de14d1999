"""The test of a challenger that may be looked at every day."""

import numpy as np
import pytest
from scipy.integrate import quad

from penguins.monitoring.sequential import ALPHA, compare, log_capital


def test_the_capital_is_that_of_a_mixture_of_bets() -> None:
    gained, lost = 12, 5
    capital, _ = quad(lambda q: 2 * (2 * q) ** gained * (2 * (1 - q)) ** lost, 0.5, 1)
    assert float(log_capital(np.array(gained), np.array(lost))) == pytest.approx(np.log(capital))
    assert float(log_capital(np.array(0), np.array(0))) == pytest.approx(0)


def test_standings() -> None:
    assert compare(0, 0).standing == "open"
    assert compare(0, 0).p == 1
    assert compare(30, 5).standing == "better"
    assert compare(30, 5).p < ALPHA
    assert compare(5, 30).standing == "worse"
    assert compare(5, 30).p == 1
    assert compare(20, 18).standing == "open"
    assert compare(0, 100_000).standing == "worse"
    assert compare(100_000, 0).standing == "better"


def test_a_challenger_that_is_no_better_is_seldom_called_better_however_often_one_looks() -> None:
    random = np.random.default_rng(0)
    won = random.random((4000, 2000)) < 0.5
    gained, looks = np.cumsum(won, axis=1), np.arange(1, 2001)
    capitals = np.full((2001, 2001), np.nan)  # by what was gained and the number of looks: most occur many times
    capitals[gained, looks] = 0
    pairs = np.nonzero(capitals == 0)
    capitals[pairs] = log_capital(pairs[0], pairs[1] - pairs[0])
    assert (capitals[gained, looks].max(axis=1) >= -np.log(ALPHA)).mean() <= ALPHA


def test_one_that_is_better_is_found() -> None:
    random = np.random.default_rng(1)
    gained = np.cumsum(random.random((1000, 300)) < 0.65, axis=1)
    highest = log_capital(gained, np.arange(1, 301) - gained).max(axis=1)
    assert (highest >= -np.log(ALPHA)).mean() > 0.9

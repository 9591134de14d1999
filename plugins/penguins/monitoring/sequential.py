"""Compare a challenger with the champion on the same requests, as often as somebody looks.

Only rows count that one of them has right and the other one wrong. If the challenger is no better, each of these is a
bet that it wins with a probability of at most a half, and the capital of whoever bets on it has no reason to grow: it
is an e-process. It exceeds 1 / alpha at any time with a probability of at most alpha (J. Ville, Étude critique de la
notion de collectif, 1939), so the test may be looked at after each row, and stopped at will (H. Robbins, Annals of
Mathematical Statistics 41(5), 1970; A. Ramdas, P. Grünwald, V. Vovk, G. Shafer, Statistical Science 38(4), 2023).

What it needs: rows whose truth is known must not be chosen by what the models answered.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincc, betaln

ALPHA: Final = 0.05
"""Probability of a false promotion, whenever and however often one looks."""

Standing = Literal["better", "worse", "open"]


@dataclass(frozen=True)
class PairedTest:
    """The result so far.

    Attributes:
        gained, lost: rows that only the challenger, or only the champion, has right.
        p: anytime-valid p-value for the challenger being better.
    """

    gained: int
    lost: int
    p: float
    standing: Standing


def compare(gained: int, lost: int, alpha: float = ALPHA) -> PairedTest:
    """Judge a challenger by the rows so far."""
    better = float(log_capital(np.array(gained), np.array(lost)))
    worse = float(log_capital(np.array(lost), np.array(gained)))
    limit = -np.log(alpha)
    standing: Standing = "better" if better >= limit else "worse" if worse >= limit else "open"
    return PairedTest(gained, lost, float(np.exp(-max(better, 0.0))), standing)


def log_capital(gained: NDArray[np.integer], lost: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the logarithm of the capital after bets on the challenger that were won and lost.

    The bets are a mixture: for each probability q between a half and one, with equal weight, a part of the capital is
    multiplied by 2q when the bet is won and by 2(1 - q) when it is lost. The integral over q is that of a beta
    distribution.
    """
    wins, losses = gained + 1.0, lost + 1.0
    with np.errstate(divide="ignore"):  # so many were lost that nothing is left
        above = np.log(betaincc(wins, losses, 0.5))
    return np.asarray((wins + losses - 1) * np.log(2.0) + betaln(wins, losses) + above)

"""References and windows of made-up tables, for tests that start no program."""

from functools import cache

from contract.encoding import Matrix
from penguins.monitoring.baseline import Baseline
from tests.penguins.registry.references import reference_of
from tests.penguins.training.tables import MIXED, NUMBERS, made_up


@cache
def numbers() -> tuple[Baseline, Matrix]:
    """Return the baseline of a table of two numbers, and its rows."""
    data = made_up(NUMBERS, rows=2500)
    return Baseline(reference_of(data)), data.seen().to_numpy()


@cache
def mixed() -> Baseline:
    """Return the baseline of a table with numbers, categories, booleans and missing values."""
    return Baseline(reference_of(made_up(MIXED, rows=2500)))


def fresh(rows: int, seed: int = 1) -> Matrix:
    """Return other rows like those of `mixed`."""
    return made_up(MIXED, rows=rows, seed=seed).seen().to_numpy(copy=True)

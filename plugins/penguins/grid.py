"""The grid of hyperparameters: what may be in it, and the candidates it stands for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import ParameterGrid
from sklearn.utils._param_validation import InvalidParameterError

from penguins.errors import UserError

MINIMUM_CANDIDATES: Final = 20

Grid = Mapping[str, Sequence[Any]]

# Hyperparameters that a grid may vary. The others are decided elsewhere (random_state by the
# seed, n_jobs by the machine) or don't change the model (verbose, warm_start).
ALLOWED: Final = tuple(
    sorted(set(RandomForestClassifier().get_params()) - {"random_state", "n_jobs", "verbose", "warm_start"})
)


@dataclass(frozen=True)
class Candidate:
    """One combination of hyperparameters."""

    params: Mapping[str, Any]

    @cached_property
    def name(self) -> str:
        """Short, unique within a grid, and the same in every run: `max_depth=4 n_estimators=50`."""
        return " ".join(f"{key}={json.dumps(value)}" for key, value in sorted(self.params.items()))

    @property
    def trees(self) -> int:
        """Number of trees, scikit-learn's default where the grid doesn't say."""
        return int(self.params.get("n_estimators", RandomForestClassifier().n_estimators))


def candidates(grid: Grid) -> list[Candidate]:
    """Every combination of the grid.

    Raises:
        UserError: a name is unknown, a value is refused by scikit-learn, or there are fewer than
            20 combinations.
    """
    unknown = sorted(set(grid) - set(ALLOWED))
    if unknown:
        raise UserError(f"grid: unknown hyperparameter {', '.join(unknown)}. Allowed are {', '.join(ALLOWED)}.")
    for name, values in grid.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise UserError(f"grid: {name} must be a list of values, not {values!r}.")
        if len({json.dumps(value) for value in values}) < len(values):
            raise UserError(f"grid: {name} has a value twice: {list(values)!r}.")
    found = [Candidate(params) for params in ParameterGrid({name: list(values) for name, values in grid.items()})]
    for candidate in found:
        _check(candidate)
    if len(found) < MINIMUM_CANDIDATES:
        raise UserError(
            f"grid: {len(found)} combinations, at least {MINIMUM_CANDIDATES} are needed. "
            f"Add values, or one of {', '.join(ALLOWED)}."
        )
    return found


def _check(candidate: Candidate) -> None:
    try:
        # what fit() calls first: the types and ranges of every parameter, without training
        RandomForestClassifier(**candidate.params)._validate_params()
    except InvalidParameterError as error:
        raise UserError(f"grid: {error}") from error

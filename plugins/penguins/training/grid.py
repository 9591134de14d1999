"""The grid of hyperparameters: its rules, and the candidates that it stands for."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sklearn.base import ClassifierMixin
from sklearn.model_selection import ParameterGrid

from penguins.errors import UserError
from penguins.training.columns import NUMBERS, Columns
from penguins.training.estimators import FOREST, Estimator, Grid, estimator

MINIMUM_CANDIDATES: Final = 20

_FLAGS: Final = ("bootstrap", "fit_intercept")


@dataclass(frozen=True)
class Candidate:
    """One combination of hyperparameters of an estimator."""

    params: Mapping[str, Any]
    estimator: str = FOREST

    @cached_property
    def name(self) -> str:
        """Return a short name, unique within a grid and stable between runs: `max_depth=4 n_estimators=50`."""
        return " ".join(f"{key}={json.dumps(value)}" for key, value in sorted(self.params.items()))

    @property
    def size(self) -> int:
        """Return the number of trees or rounds, scikit-learn's default if the grid doesn't set it; 0 without any."""
        return int(self.params.get(self.grows_by, 100)) if self.grows_by else 0

    @property
    def grows_by(self) -> str:
        """Return the hyperparameter with the size; empty for none."""
        return estimator(self.estimator).size

    def model(self, columns: Columns = NUMBERS, **changes: Any) -> ClassifierMixin:
        """Build the unfitted model for these columns, with some hyperparameters changed."""
        return estimator(self.estimator).build(columns, **{**self.params, **changes})


def candidates(grid: Grid | None = None, name: str = FOREST) -> list[Candidate]:
    """List every combination of the grid of an estimator; without a grid, of its default grid.

    Raises:
        UserError: the estimator or a hyperparameter is unknown, a value is refused by scikit-learn, or there
            are fewer than 20 combinations.
    """
    chosen = estimator(name)
    grid = chosen.grid if grid is None else grid
    _check_values(grid, chosen)
    found = [Candidate(params, name) for params in ParameterGrid({key: list(values) for key, values in grid.items()})]
    for candidate in found:
        _check(candidate)
    if len(found) < MINIMUM_CANDIDATES:
        raise UserError(
            f"grid: {len(found)} combinations, at least {MINIMUM_CANDIDATES} are needed. "
            f"Add values, or one of {', '.join(chosen.allowed)}."
        )
    return found


def count(grid: Grid | None = None, name: str = FOREST) -> int:
    """Count the combinations of the grid of an estimator; without a grid, of its default grid."""
    return math.prod(len(values) for values in (estimator(name).grid if grid is None else grid).values())


def _check_values(grid: Grid, chosen: Estimator) -> None:
    unknown = sorted(set(grid) - set(chosen.allowed))
    if unknown:
        raise UserError(f"grid: unknown hyperparameter {', '.join(unknown)}. Allowed are {', '.join(chosen.allowed)}.")
    for name, values in grid.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise UserError(f"grid: {name} must be a list of values, not {values!r}.")
        if name not in _FLAGS and any(isinstance(value, bool) for value in values):
            raise UserError(f"grid: {name} can't be true or false.")
        if len({json.dumps(value) for value in values}) < len(values):
            raise UserError(f"grid: {name} has a value twice: {list(values)!r}.")


def _check(candidate: Candidate) -> None:
    """Check a candidate by scikit-learn's rules for each parameter, and by a small fit."""
    small: dict[str, Any] = {candidate.grows_by: 1} if candidate.grows_by in candidate.params else {}
    try:
        for part in getattr(candidate.model(), "named_steps", {"": candidate.model()}).values():
            part._validate_params()  # the check that fit() begins with
        candidate.model(**small).fit(_ROWS, _LABELS)
    except (ValueError, TypeError) as error:
        raise UserError(f"grid: {candidate.name}: {error}") from error


_ROWS: Final = [[float(row % 7), float(row)] for row in range(60)]
_LABELS: Final = [row % 3 for row in range(60)]

"""The grid of hyperparameters: what may be in it, and the candidates it stands for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import ParameterGrid

from penguins.errors import UserError

MINIMUM_CANDIDATES: Final = 20

Grid = Mapping[str, Sequence[Any]]

# Hyperparameters that a grid may vary. The others are decided elsewhere (random_state by the seed,
# n_jobs by the machine), don't change the model (verbose, oob_score), don't go with growing one forest
# through its sizes (warm_start, class_weight), or can't be written in JSON (monotonic_cst).
ALLOWED: Final = (
    "bootstrap",
    "ccp_alpha",
    "criterion",
    "max_depth",
    "max_features",
    "max_leaf_nodes",
    "max_samples",
    "min_impurity_decrease",
    "min_samples_leaf",
    "min_samples_split",
    "min_weight_fraction_leaf",
    "n_estimators",
)
_FLAGS: Final = ("bootstrap",)


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
        if name not in _FLAGS and any(isinstance(value, bool) for value in values):
            raise UserError(f"grid: {name} can't be true or false.")
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
    """Let scikit-learn refuse what it refuses, by its rules for each parameter and by planting one tree."""
    forest = RandomForestClassifier(**candidate.params)
    try:
        forest._validate_params()  # what fit() calls first
        forest.set_params(n_estimators=1).fit(_ROWS, _LABELS)
    except ValueError as error:
        raise UserError(f"grid: {candidate.name}: {error}") from error


_ROWS: Final = [[float(row % 7), float(row)] for row in range(60)]
_LABELS: Final = [row % 3 for row in range(60)]

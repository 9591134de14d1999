"""The former place of the penguins' contract; works for one release more, with a warning."""

import warnings

from penguins import contracts

__all__ = ["FEATURES", "FEATURE_NAMES", "SPECIES"]

_PENGUINS = contracts.find()

FEATURES = _PENGUINS.features
FEATURE_NAMES = _PENGUINS.feature_names
SPECIES = _PENGUINS.classes

warnings.warn("penguins.contract has moved: use penguins.contracts.find()", FutureWarning, stacklevel=2)

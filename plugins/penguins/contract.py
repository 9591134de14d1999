"""The former place of `penguins.data.contract`; works for one release more, with a warning."""

import warnings

from penguins.data.contract import FEATURE_NAMES, PENGUINS, SPECIES

__all__ = ["FEATURES", "FEATURE_NAMES", "SPECIES"]

FEATURES = PENGUINS.features

warnings.warn("penguins.contract has moved: use penguins.data.contract", FutureWarning, stacklevel=2)

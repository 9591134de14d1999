"""The former place of `penguins.data.contract`; works for one release more, with a warning."""

import warnings

from penguins.data.contract import FEATURE_NAMES, FEATURES, SPECIES

__all__ = ["FEATURES", "FEATURE_NAMES", "SPECIES"]

warnings.warn("penguins.contract has moved: use penguins.data.contract", FutureWarning, stacklevel=2)

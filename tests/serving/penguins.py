"""The features and the species of the penguins."""

from typing import Any, Final

FEATURES: Final = {"bill_length_mm": "mm", "bill_depth_mm": "mm", "flipper_length_mm": "mm", "body_mass_g": "g"}
"""Name and unit of the features, in the order of the model's columns."""

SPECIES: Final = ["Adelie", "Chinstrap", "Gentoo"]
"""The species, in the order of the model's labels."""

PENGUIN: Final[dict[str, Any]] = dict(zip(FEATURES, (39.1, 18.7, 181, 3750), strict=True))

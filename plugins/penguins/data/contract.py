"""The data contract: what a row of penguins is, before anything is learned from it."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Feature:
    """A measurement the model uses.

    `lowest` and `highest` bound what any living penguin can measure, not what this data set
    happens to hold: a value outside is a mistake in the data. From the little penguin
    (Eudyptula minor, under 1 kg) to the emperor penguin (Aptenodytes forsteri, up to 45 kg),
    with room on both sides (T. D. Williams, The Penguins, Oxford University Press 1995).
    """

    name: str
    unit: str
    lowest: float
    highest: float


FEATURES: Final = (
    Feature("bill_length_mm", "mm", 10, 150),
    Feature("bill_depth_mm", "mm", 3, 60),
    Feature("flipper_length_mm", "mm", 50, 500),
    Feature("body_mass_g", "g", 300, 60_000),
)
FEATURE_NAMES: Final = tuple(feature.name for feature in FEATURES)

# Alphabetical: the position is the label.
SPECIES: Final = ("Adelie", "Chinstrap", "Gentoo")

# Columns a source must have, and those it may have.
REQUIRED_COLUMNS: Final = ("species", *FEATURE_NAMES)
OPTIONAL_COLUMNS: Final = ("island", "sex", "year")

# How a source writes "not measured".
NULL_VALUES: Final = ("", "NA", "NaN", "nan", "null", "NULL")

"""The data contract: the columns, units, limits and species of a row of penguins."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Feature:
    """A measurement that the model uses.

    `lowest` and `highest` are limits for any living penguin, not for this data set. A value outside is a mistake in the
    data. The limits reach from the little penguin (Eudyptula minor, under 1 kg) to the emperor penguin (Aptenodytes
    forsteri, up to 45 kg), with room on both sides (T. D. Williams, The Penguins, Oxford University Press 1995).
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

# Alphabetical: the position is the label.
SPECIES: Final = ("Adelie", "Chinstrap", "Gentoo")


@dataclass(frozen=True)
class DataContract:
    """The features and the species, in the order of the model's columns and labels."""

    features: tuple[Feature, ...]
    species: tuple[str, ...]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Return the names of the features, in order."""
        return tuple(feature.name for feature in self.features)

    @property
    def required_columns(self) -> tuple[str, ...]:
        """Return the columns that a row needs to be used."""
        return ("species", *self.feature_names)


PENGUINS: Final = DataContract(FEATURES, SPECIES)

# Required and optional columns of a source.
FEATURE_NAMES: Final = PENGUINS.feature_names
REQUIRED_COLUMNS: Final = PENGUINS.required_columns
OPTIONAL_COLUMNS: Final = ("island", "sex", "year")

# Texts that mean "not measured".
NULL_VALUES: Final = ("", "NA", "NaN", "nan", "null", "NULL")

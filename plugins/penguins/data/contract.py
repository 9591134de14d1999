"""The data contract of the penguins."""

from typing import Final

from contract.schema import Bounds, Column, DataContract, Training


def _measurement(name: str, unit: str, lowest: float, highest: float) -> Column:
    """Return the column of a measurement.

    The limits are those of any living penguin, not of this data set: from the little penguin (Eudyptula minor, under
    1 kg) to the emperor penguin (Aptenodytes forsteri, up to 45 kg), with room on both sides (T. D. Williams, The
    Penguins, Oxford University Press 1995).
    """
    return Column(
        name=name,
        type="number",
        unit=unit,
        bounds=Bounds(exclusive_minimum=0),
        plausible=Bounds(minimum=lowest, maximum=highest),
    )


PENGUINS: Final = DataContract(
    name="penguins",
    description="Tells a penguin's species from four measurements.",
    columns=(
        Column(name="species", type="string", role="target", categories=("Adelie", "Chinstrap", "Gentoo")),
        Column(name="island", type="string", role="ignored", required=False),
        _measurement("bill_length_mm", "mm", 10, 150),
        _measurement("bill_depth_mm", "mm", 3, 60),
        _measurement("flipper_length_mm", "mm", 50, 500),
        _measurement("body_mass_g", "g", 300, 60_000),
        Column(name="sex", type="string", role="ignored", required=False),
        Column(name="year", type="integer", role="ignored", required=False),
    ),
    training=Training(
        registered_model="penguins_rf",
        experiment="penguins_experiment",
        schedule="@weekly",
        source="palmerpenguins",
        estimator="random_forest",
        min_accuracy=0.9,
    ),
)

FEATURE_NAMES: Final = PENGUINS.feature_names
SPECIES: Final = PENGUINS.classes

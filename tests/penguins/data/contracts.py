"""Contracts for tests."""

from collections.abc import Sequence

from contract.schema import DataContract
from penguins.data.contract import PENGUINS


def narrowed(features: int, classes: Sequence[str]) -> DataContract:
    """Return the contract of the penguins with its first features and some of its classes only."""
    kept = [*PENGUINS.others, *PENGUINS.features[:features]]
    target = PENGUINS.target.model_copy(update={"categories": tuple(classes)})
    return DataContract(name=PENGUINS.name, columns=(target, *kept), training=PENGUINS.training)

"""Format version 1 of the manifest: the penguins, before there were other contracts."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, FiniteFloat


class Feature(BaseModel):
    """A column of the model's input, and its range in the training data."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: str
    unit: str
    min: FiniteFloat
    max: FiniteFloat


class Contract(BaseModel):
    """The model's input and output: features in the order of its columns, species in the order of its labels."""

    model_config = ConfigDict(strict=True, frozen=True)

    contract_version: Literal[1] = 1
    features: list[Feature]
    species: list[str]

    def upgrade(self) -> dict[str, Any]:
        """Return the same in format version 2. Every feature was a number above 0."""
        rest = self.model_dump(exclude={"features", "species"}, exclude_unset=True)
        target = {"name": "species", "type": "string", "role": "target", "categories": self.species}
        features = [
            {**feature.model_dump(), "type": "number", "bounds": {"exclusive_minimum": 0}} for feature in self.features
        ]
        return {**rest, "contract_version": 2, "name": "penguins", "target": target, "features": features}


class Manifest(Contract):
    """The whole file; example and scatter are as in format version 2."""

    model_config = ConfigDict(extra="forbid")

    contract_version: Literal[1]
    example: Any
    scatter: Any = None

"""The contract that a model version brings along: features, species and a recorded example."""

from typing import Annotated, Literal, Self

import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from serving.registry.refusals import Code, RefusedError

FEATURES = {"bill_length_mm": "mm", "bill_depth_mm": "mm", "flipper_length_mm": "mm", "body_mass_g": "g"}
"""Name and unit of the features, in the order of the model's columns."""

SPECIES = ["Adelie", "Chinstrap", "Gentoo"]
"""The species, in the order of the model's labels."""

Row = Annotated[list[FiniteFloat], Field(min_length=len(FEATURES), max_length=len(FEATURES))]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Probabilities = Annotated[list[Probability], Field(min_length=len(SPECIES), max_length=len(SPECIES))]


class Feature(BaseModel):
    """A column of the model's input, and the range it had in training."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: str
    unit: str
    min: FiniteFloat
    max: FiniteFloat

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is more than max {self.max}")
        return self


class Contract(BaseModel):
    """What the service must know about a model: in what order it takes and gives what."""

    model_config = ConfigDict(strict=True, frozen=True)

    features: list[Feature]
    species: list[str]

    @model_validator(mode="after")
    def _is_ours(self) -> Self:
        units = [(feature.name, feature.unit) for feature in self.features]
        if units != list(FEATURES.items()):
            raise ValueError(f"features are {units}, the service knows {list(FEATURES.items())}")
        if self.species != SPECIES:
            raise ValueError(f"species are {self.species}, the service knows {SPECIES}")
        return self


class Points(BaseModel):
    """Penguins and their species: inputs [n, 4], labels [n]."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    inputs: Annotated[list[Row], Field(min_length=1)]
    labels: list[Annotated[int, Field(ge=0, lt=len(SPECIES))]]

    @model_validator(mode="after")
    def _has_labels(self) -> Self:
        if len(self.inputs) != len(self.labels):
            raise ValueError("there is not one label for each row of inputs")
        return self


class Example(Points):
    """What the model answered when it was registered: also probabilities [n, 3]."""

    probabilities: list[Probabilities]

    @model_validator(mode="after")
    def _has_probabilities(self) -> Self:
        if len(self.inputs) != len(self.probabilities):
            raise ValueError("there is not one row of probabilities for each row of inputs")
        return self


class RecordedContract(Contract):
    """The contract as the pipeline writes it, in `inference/contract.json`."""

    model_config = ConfigDict(extra="forbid")

    contract_version: Literal[1]
    example: Example
    scatter: Points | None = None
    """Training data, or a sample of it, for the page to draw."""


class _Metadata(BaseModel):
    contract: Contract


class SklearnFlavor(BaseModel):
    """The flavor `sklearn` of an `MLmodel`."""

    pickled_model: str
    serialization_format: str
    sklearn_version: str


class _Flavors(BaseModel):
    sklearn: SklearnFlavor


class MLmodel(BaseModel):
    """The parts of MLflow's file `MLmodel` that the service needs."""

    flavors: _Flavors
    metadata: _Metadata


def parse_contract(content: bytes) -> RecordedContract:
    """Read `inference/contract.json`.

    Raises:
        RefusedError: it doesn't follow the contract.
    """
    try:
        return RecordedContract.model_validate_json(content)
    except ValidationError as error:
        raise RefusedError(Code.CONTRACT_INVALID, f"inference/contract.json: {_first(error)}") from error


def parse_mlmodel(content: bytes) -> MLmodel:
    """Read `MLmodel`.

    Raises:
        RefusedError: it has no scikit-learn flavor, or no contract in its metadata.
    """
    try:
        return MLmodel.model_validate(yaml.safe_load(content))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RefusedError(Code.CONTRACT_INVALID, f"MLmodel isn't YAML: {error}") from error
    except ValidationError as error:
        raise RefusedError(Code.CONTRACT_INVALID, f"MLmodel: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_context=False)
    place = ".".join(str(part) for part in details[0]["loc"])
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return f"{place}: {details[0]['msg']}{more}" if place else f"{details[0]['msg']}{more}"

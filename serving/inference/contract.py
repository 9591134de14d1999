"""Read the contract of a model version, and check that the service knows its features and species."""

from typing import Any, Final

import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel, ValidationError

from contract.digests import MANIFEST_FILE
from contract.manifest import Contract, Manifest
from serving.registry.refusals import Code, RefusedError, first_problem

FEATURES: Final = {"bill_length_mm": "mm", "bill_depth_mm": "mm", "flipper_length_mm": "mm", "body_mass_g": "g"}
"""Name and unit of the features, in the order of the model's columns."""

SPECIES: Final = ["Adelie", "Chinstrap", "Gentoo"]
"""The species, in the order of the model's labels."""

EXAMPLE: Final[dict[str, Any]] = dict(zip(FEATURES, (39.1, 18.7, 181, 3750), strict=True))
"""A penguin, for the documentation."""


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


def parse_manifest(content: bytes) -> Manifest:
    """Read `inference/contract.json`.

    Raises:
        RefusedError: the file doesn't follow the format, or describes other features or species.
    """
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise RefusedError(Code.CONTRACT_INVALID, f"{MANIFEST_FILE}: {first_problem(error)}") from error
    _check_known(MANIFEST_FILE, manifest)
    return manifest


def parse_mlmodel(content: bytes) -> MLmodel:
    """Read `MLmodel`.

    Raises:
        RefusedError: it has no scikit-learn flavor, or no contract in its metadata.
    """
    try:
        mlmodel = MLmodel.model_validate(yaml.safe_load(content))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RefusedError(Code.CONTRACT_INVALID, f"MLmodel isn't YAML: {error}") from error
    except ValidationError as error:
        raise RefusedError(Code.CONTRACT_INVALID, f"MLmodel: {first_problem(error)}") from error
    _check_known("MLmodel", mlmodel.metadata.contract)
    return mlmodel


def _check_known(file: str, contract: Contract) -> None:
    units = [(feature.name, feature.unit) for feature in contract.features]
    if units != list(FEATURES.items()):
        raise RefusedError(
            Code.CONTRACT_INVALID, f"{file}: features are {units}, the service knows {list(FEATURES.items())}"
        )
    if contract.species != SPECIES:
        raise RefusedError(
            Code.CONTRACT_INVALID, f"{file}: species are {contract.species}, the service knows {SPECIES}"
        )

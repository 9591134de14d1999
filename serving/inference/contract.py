"""Read the contract of a model version."""

from pydantic import BaseModel, ValidationError

from contract.digests import MANIFEST_FILE
from contract.manifest import Contract, Manifest
from serving.registry.refusals import Code, RefusedError, first_problem


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
        RefusedError: the file doesn't follow the format.
    """
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise RefusedError(Code.CONTRACT_INVALID, f"{MANIFEST_FILE}: {first_problem(error)}") from error


def parse_mlmodel(content: bytes) -> MLmodel:
    """Read `MLmodel`.

    Raises:
        RefusedError: it has no scikit-learn flavor, or no contract in its metadata.
    """
    import yaml  # type: ignore[import-untyped] # a megabyte, for versions that were registered by hand

    try:
        return MLmodel.model_validate(yaml.safe_load(content))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RefusedError(Code.CONTRACT_INVALID, f"MLmodel isn't YAML: {error}") from error
    except ValidationError as error:
        raise RefusedError(Code.CONTRACT_INVALID, f"MLmodel: {first_problem(error)}") from error

"""Versions of a registered model: find, create, verify and load them."""

import re
from collections.abc import Mapping
from typing import Any, Final

import cloudpickle
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException

from contract.digests import MODEL_FILE, DigestError, serving_files, verify
from contract.schema import DataContract
from contract.signatures import SIGNATURE, signing_command
from penguins import signing
from penguins.errors import UserError
from penguins.registry import logged_models
from penguins.training.tracking import client

ALIAS: Final = "production"
STAGE: Final = "Production"
_MAX_DESCRIPTION: Final = 5000  # characters, of a column in MLflow's database
_LOGGED_MODEL: Final = re.compile(r"models:/(m-[0-9a-f]+)")  # a source by name and number has no digests


def registered_model(name: str) -> RegisteredModel:
    """Return a registered model, an empty one while there is none."""
    try:
        return client().get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return RegisteredModel(name)


def production(model: str) -> ModelVersion | None:
    """Return the version of a model in Production: the one with the alias or, without one, that in the stage."""
    number = registered_model(model).aliases.get(ALIAS)
    if number is not None:
        return client().get_model_version(model, number)
    return next((version for version in versions(model) if version.current_stage == STAGE), None)


def versions(model: str, query: str = "") -> list[ModelVersion]:
    """Return the versions of a registered model that match an MLflow filter, the newest first."""
    name = f"name = '{model}'"
    found = client().search_model_versions(f"{name} AND {query}" if query else name, max_results=10_000)
    return sorted(found, key=lambda version: int(version.version), reverse=True)


def version(model: str, number: str) -> ModelVersion:
    """Return one version of a registered model.

    Raises:
        UserError: there is no such version.
    """
    found = next((each for each in versions(model) if each.version == number), None)
    if found is None:
        raise UserError(f"{model} has no version {number}.")
    return found


def create_version(
    contract: DataContract, logged_model_id: str, run_id: str, tags: Mapping[str, str], description: str
) -> ModelVersion:
    """Register a logged model as the next version of a contract's registered model, together with its tags."""
    name = contract.training.registered_model
    try:
        client().create_registered_model(name, description=_describe(contract))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client().create_model_version(
        name,
        source=f"models:/{logged_model_id}",
        run_id=run_id,
        tags=dict(tags),
        description=description,
        model_id=logged_model_id,
        await_creation_for=0,  # the server creates a version at once
    )


def _describe(contract: DataContract) -> str:
    """Return the description of a registered model: the contract's, as much of it as MLflow takes, and the DAG."""
    purpose = contract.description or f"Predicts {contract.target.name}."
    writer = f"Written by the DAG {contract.dag_id}."
    room = _MAX_DESCRIPTION - len(writer) - 1
    return f"{purpose if len(purpose) <= room else purpose[: room - 1] + '…'} {writer}"


def load(logged_model_id: str, recorded: Mapping[str, str]) -> Any:
    """Load the scikit-learn model of a logged model, after checking its files.

    Args:
        recorded: sha256 by path, from a verified signature.

    Raises:
        MemoryError: the machine has too little memory at the moment.
        UserError: as `files`, or the model can't be unpickled with the installed libraries.
    """
    return unpickle(logged_model_id, files(logged_model_id, recorded))


def unpickle(logged_model_id: str, found: Mapping[str, bytes]) -> Any:
    """Load the scikit-learn model of a logged model from its files, as `files` returns them.

    Raises:
        MemoryError, UserError: as `load`.
    """
    try:
        return cloudpickle.loads(found[MODEL_FILE])
    except MemoryError:  # not an error of the model: a retry may succeed
        raise
    except Exception as error:  # a pickle of another version can raise any error
        raise UserError(f"models:/{logged_model_id} can't be loaded: {type(error).__name__}: {error}") from error


def files(logged_model_id: str, recorded: Mapping[str, str]) -> dict[str, bytes]:
    """Download and check the files of a logged model that the gate and the service open.

    Returns:
        Their contents, by path.

    Raises:
        UserError: the model was deleted, or a file has no recorded digest, is missing or has another digest.
    """
    location = logged_models.find(logged_model_id).artifact_location
    found = {}
    for name in dict.fromkeys((MODEL_FILE, *serving_files(recorded))):  # each once, the model first
        if name not in recorded:
            raise UserError(f"models:/{logged_model_id}: its signature has no digest of {name}, so it isn't loaded.")
        found[name] = logged_models.download(location, name)
        try:
            verify(name, found[name], recorded)
        except DigestError as error:
            raise UserError(
                f"models:/{logged_model_id}: {name} isn't the file that was recorded ({error}). "
                "Promote another version, or delete this one."
            ) from error
    return found


def check_files(version: ModelVersion) -> dict[str, bytes]:
    """Check that the files of a version that the gate and the service open are the recorded ones, and return them.

    Raises:
        UserError: as `model_id`, `recorded_digests` and `files`.
    """
    return files(model_id(version), recorded_digests(version))


def model_id(version: ModelVersion) -> str:
    """Return the id of the logged model of a version.

    Raises:
        UserError: the version was registered from files instead.
    """
    found = _LOGGED_MODEL.fullmatch(version.source or "")  # the server doesn't keep version.model_id
    if found is None:
        raise UserError(f"{version.name} version {version.version} has no logged model: register one from a run.")
    return found[1]


def recorded_digests(version: ModelVersion) -> dict[str, str]:
    """Return sha256 by path, as signed for the version or, if it was registered by hand, for its logged model.

    Raises:
        UntrustedError: no trusted key has signed them.
        UserError: the version has no logged model, or the model was deleted.
    """
    logged_model_id = model_id(version)
    try:
        if SIGNATURE in version.tags:
            return signing.verify("version", version.name, logged_model_id, version.tags)
        return candidate_digests(version.name, logged_model_id)
    except signing.UntrustedError as error:
        number = version.version
        raise signing.UntrustedError(
            f"{version.name} version {number} isn't opened: {error}. Look at it and sign it: "
            f"{signing_command(version.name, number)}, or promote another one."
        ) from error


def candidate_digests(model: str, logged_model_id: str) -> dict[str, str]:
    """Return sha256 by path, as signed when the candidate was logged for a registered model.

    Raises:
        UntrustedError: no trusted key has signed them.
        UserError: the model was deleted.
    """
    return signing.verify("candidate", model, logged_model_id, logged_models.find(logged_model_id).tags)

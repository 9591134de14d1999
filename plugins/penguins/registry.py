"""Versions of the registered model: find them, create one, load one that its digest vouches for."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import cloudpickle
import mlflow.artifacts
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from sklearn.ensemble import RandomForestClassifier

from penguins.errors import UserError
from penguins.recording import DIGESTS
from penguins.settings import settings
from penguins.tracking import client

ALIAS: Final = "production"
STAGE: Final = "Production"
MODEL_FILE: Final = "model.pkl"


def registered_model() -> RegisteredModel:
    """Our registered model, which is created if need be."""
    name = settings().model_name
    try:
        return client().create_registered_model(
            name,
            description="Tells a penguin's species from four measurements. Written by the DAG penguins_training.",
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client().get_registered_model(name)


def production() -> ModelVersion | None:
    """The version in Production: the one with the alias or, where there is no alias, in the stage."""
    number = registered_model().aliases.get(ALIAS)
    if number is not None:
        return client().get_model_version(settings().model_name, number)
    return next((version for version in versions() if version.current_stage == STAGE), None)


def versions(query: str = "") -> list[ModelVersion]:
    """The versions of our model that match an MLflow filter, the newest first."""
    name = f"name = '{settings().model_name}'"
    found = client().search_model_versions(f"{name} AND {query}" if query else name, max_results=10_000)
    return sorted(found, key=lambda version: int(version.version), reverse=True)


def create_version(logged_model_id: str, run_id: str, tags: Mapping[str, str], description: str) -> ModelVersion:
    """Register a logged model as the next version, with its tags from the first moment."""
    return client().create_model_version(
        registered_model().name,
        source=f"models:/{logged_model_id}",
        run_id=run_id,
        tags=dict(tags),
        description=description,
        model_id=logged_model_id,
        await_creation_for=0,  # an MLflow server creates it at once
    )


def load(logged_model_id: str, recorded: Mapping[str, str]) -> RandomForestClassifier:
    """The scikit-learn model of a logged model, if it is the file that was recorded.

    Args:
        recorded: sha256 by path, as the tag `digests` keeps them.

    Raises:
        UserError: it was deleted, no digest was recorded, or the file isn't the one that was recorded.
    """
    if MODEL_FILE not in recorded:
        raise UserError(f"models:/{logged_model_id}: no digest was recorded for {MODEL_FILE}, so it isn't loaded.")
    try:
        location = client().get_logged_model(logged_model_id).artifact_location
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise UserError(f"models:/{logged_model_id} was deleted from MLflow. Promote another version.") from error
    with tempfile.TemporaryDirectory() as folder:
        path = mlflow.artifacts.download_artifacts(f"{location}/{MODEL_FILE}", dst_path=folder)
        content = Path(path).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != recorded[MODEL_FILE]:
        raise UserError(
            f"models:/{logged_model_id}: {MODEL_FILE} isn't the file that was recorded (sha256 {found[:12]}…, "
            f"recorded {recorded[MODEL_FILE][:12]}…). Promote another version, or delete this one."
        )
    model: RandomForestClassifier = cloudpickle.loads(content)
    return model


def model_id(version: ModelVersion) -> str:
    """The logged model behind a version.

    Raises:
        UserError: it was registered from files instead.
    """
    kind, _, found = (version.source or "").partition(":/")  # MLflow's server doesn't keep version.model_id
    if kind != "models":
        raise UserError(f"{version.name} version {version.version} has no logged model: register one from a run.")
    return str(found)


def recorded_digests(version: ModelVersion) -> dict[str, str]:
    """sha256 by path: from the version, or from the logged model behind one registered by hand."""
    text = version.tags.get(DIGESTS) or client().get_logged_model(model_id(version)).tags.get(DIGESTS)
    found: dict[str, str] = json.loads(text) if text else {}
    return found

"""The recorded candidates that versions were made of. MLflow's tags may be set by everyone who reaches it."""

from collections.abc import Iterable
from typing import Any

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection

from penguins.errors import UserError
from penguins.registry import model_versions
from penguins.training import candidate_records


def recorded_runs(connection: Connection[Any], versions: Iterable[ModelVersion]) -> dict[str, Run]:
    """Return the recorded runs of versions, by their numbers. A version of anything else than a candidate has none."""
    models = {version.version: model for version in versions if (model := _model_id(version))}
    records = candidate_records.find(connection, models.values())
    return {number: records[model].to_run() for number, model in models.items() if model in records}


def recorded_tags(connection: Connection[Any], version: ModelVersion) -> dict[str, str]:
    """Return the recorded origin of a version, empty for a version of anything else than a candidate."""
    run = recorded_runs(connection, [version]).get(version.version)
    return dict(run.data.tags) if run else {}


def _model_id(version: ModelVersion) -> str | None:
    try:
        return model_versions.model_id(version)
    except UserError:
        return None

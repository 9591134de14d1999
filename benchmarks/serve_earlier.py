"""A version as a service from before the signatures and before other tables reads it."""

import json
import tempfile
from pathlib import Path

import mlflow
from mlflow.entities.model_registry import ModelVersion

from contract.digests import MANIFEST_FILE, digest_files
from contract.manifest import Manifest

NAME = "earlier"


def earlier_version(version: ModelVersion) -> str:
    """Register the same model with a manifest of format 1 and its digests, in Production; return its registered model.

    Only the penguins have such a manifest.
    """
    client = mlflow.MlflowClient()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.version}", dst_path=name))
        path = folder / MANIFEST_FILE
        path.write_text(json.dumps(_format_1(Manifest.model_validate_json(path.read_bytes()))))
        run = client.get_run(str(version.run_id))
        model = client.create_logged_model(run.info.experiment_id, name=NAME, source_run_id=run.info.run_id)
        client.log_model_artifacts(model.model_id, str(folder))
        client.finalize_logged_model(model.model_id, "READY")
        client.create_registered_model(NAME)
        tags = {"digests": json.dumps(digest_files(folder))}
        source = f"models:/{model.model_id}"
        made = client.create_model_version(NAME, source, run.info.run_id, tags=tags, model_id=model.model_id)
    client.set_registered_model_alias(NAME, "production", made.version)
    return NAME


def _format_1(manifest: Manifest) -> dict[str, object]:
    """Return the manifest in format version 1."""
    names = {"name", "unit", "min", "max"}
    return {
        "contract_version": 1,
        "features": [feature.model_dump(include=names) for feature in manifest.features],
        "species": manifest.classes,
        **manifest.model_dump(include={"example", "scatter"}),
    }

"""A cache with a version in it: a service that has one starts without MLflow."""

import json
from pathlib import Path
from typing import Any

from contract.manifest import Contract
from serving.inference.model import Release
from serving.registry.responses import ModelVersion
from serving.reload.cache import Cache
from serving.settings import Settings
from tests.keys import PUBLIC, signature
from tests.serving.publisher import digests, forest, inference_files

NO_SERVER = "http://127.0.0.1:9"


def store(
    folder: Path,
    name: str = "penguins_rf",
    version: str = "1",
    seed: int = 0,
    files: dict[str, bytes] | None = None,
    **changes: Any,
) -> dict[str, str | Path]:
    """Put a signed version into a cache; return the settings of a service that serves it.

    Args:
        files: of the version; None for those of a forest for penguins.
        changes: other keys of the manifest in format 2.
    """
    files = files or inference_files(forest(seed))
    if changes:
        manifest = json.loads(files["inference/contract.json"])
        contract = Contract.model_validate(manifest).model_dump(mode="json")
        files["inference/contract.json"] = json.dumps(contract | {"example": manifest["example"]} | changes).encode()
    tag = signature("version", name, "m-1", digests(files))
    tags = {"signature": tag}
    made = ModelVersion(name=name, version=version, creation_timestamp=1, source="models:/m-1", tags=tags)
    settings = Settings(cache_dir=folder, trusted_keys=PUBLIC, MLFLOW_TRACKING_URI=NO_SERVER)  # type: ignore[arg-type]
    Cache(settings, name).store(Release(made, digests(files), tag), files)
    return {"MLFLOW_TRACKING_URI": NO_SERVER, "SERVING_CACHE_DIR": folder, "SERVING_MODEL_NAME": name}

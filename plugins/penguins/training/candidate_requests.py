"""The requests by which our MLflow server records a candidate; images/mlflow/penguins_candidates.py answers them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mlflow.entities import DatasetInput
from mlflow.utils import credentials, rest_utils

from contract.digests import MODEL_FILE
from penguins.errors import UserError
from penguins.settings import settings
from penguins.training import artifacts
from penguins.training.grid import Candidate
from penguins.training.tracking import client

SMALL: Final = 128 * 1024
"""Bytes up to which a text file goes with the last request; the others have a request of their own."""

_NOT_FOUND: Final = 404


@dataclass(frozen=True)
class Opened:
    """A run that has its rows, parameters and metrics, and a pending model as its output."""

    run_id: str
    model_id: str
    artifact_location: str


def begin(
    candidate: Candidate,
    experiment_id: str,
    tags: Mapping[str, str],
    params: Mapping[str, str],
    metrics: Mapping[str, float],
    rows: DatasetInput,
) -> Opened:
    """Open the run of a candidate, with all but the model."""
    body = {
        "experiment_id": experiment_id,
        "run_name": candidate.name,
        "model_name": candidate.estimator,
        "tags": dict(tags),
        "params": dict(params),
        "metrics": dict(metrics),
        "rows": dict(rows.dataset),
    }
    return Opened(**_ask("open", body))


def finish(opened: Opened, folder: Path, tags: Mapping[str, str]) -> None:
    """Upload the files in a folder as the pending model, give it these tags, make it ready, and finish the run.

    Raises:
        UserError: its files aren't behind MLflow's proxy.
    """
    files, texts = artifacts.repository(opened.artifact_location), {}
    for path in sorted(folder.iterdir()):
        if path.name != MODEL_FILE and path.stat().st_size <= SMALL:
            texts[path.name] = path.read_bytes().decode()
        else:
            files.log_artifact(str(path))
    _ask("close", {"run_id": opened.run_id, "model_id": opened.model_id, "files": texts, "tags": dict(tags)})


def _ask(what: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Send a request as MLflow's client does: with its timeouts, repetitions and errors."""
    client()
    own: Any = rest_utils  # which has no types
    login: Any = credentials
    address, endpoint = settings().mlflow_tracking_uri, f"/api/3.0/penguins/candidates/{what}"
    answer = own.http_request(login.get_default_host_creds(address), endpoint, "POST", json=body)
    if answer.status_code == _NOT_FOUND and "RESOURCE_DOES_NOT_EXIST" not in answer.text:
        raise UserError(f"MLflow at {address} is of an older version of this project: restart it.")
    found: dict[str, Any] = own.verify_rest_response(answer, endpoint).json()
    return found

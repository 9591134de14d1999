"""Places of artifacts: only those behind the proxy of our MLflow are read and written.

MLflow's client goes to whatever place the server names for a run or a model, such as a folder of this machine. The
server may be another program at its port, and its database may have been changed.
"""

from typing import Any

from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from penguins.errors import UserError
from penguins.settings import settings


def is_proxied(location: str) -> bool:
    """Tell whether artifacts are behind the proxy of our MLflow; whoever makes an experiment chooses their place."""
    own = settings().mlflow_tracking_uri.rstrip("/")
    return location.startswith(f"{own}/") or (location.startswith("mlflow-artifacts:/") and location[18:19] != "/")


def repository(location: str) -> Any:
    """Return MLflow's repository, which has no types, of the artifacts of a run or a logged model.

    Raises:
        UserError: they are elsewhere.
    """
    if not is_proxied(location):
        raise UserError(
            f"MLflow keeps files at {location}, not behind its proxy: nothing is read or written there. Whose program "
            "answers at MLflow's port, and who has changed its database?"
        )
    return get_artifact_repository(location, tracking_uri=settings().mlflow_tracking_uri)

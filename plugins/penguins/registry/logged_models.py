"""Logged models: find them, and download their files."""

import tempfile
from pathlib import Path

from mlflow.entities import LoggedModel
from mlflow.exceptions import MlflowException

from penguins.errors import UserError
from penguins.training import artifacts
from penguins.training.tracking import client


def find(logged_model_id: str) -> LoggedModel:
    """Return a logged model.

    Raises:
        UserError: it was deleted.
    """
    try:
        return client().get_logged_model(logged_model_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise UserError(f"models:/{logged_model_id} was deleted from MLflow. Promote another version.") from error


def upload(logged_model_id: str, folder: str) -> None:
    """Add the files in a folder to a logged model.

    Raises:
        UserError: it was deleted, or its files aren't behind MLflow's proxy.
    """
    artifacts.repository(find(logged_model_id).artifact_location).log_artifacts(folder)


def download(location: str, name: str) -> bytes:
    """Download one file of a logged model.

    Raises:
        UserError: it is missing, isn't a file, or isn't behind MLflow's proxy.
    """
    files = artifacts.repository(location)
    with tempfile.TemporaryDirectory() as folder:
        try:
            return Path(files.download_artifacts(name, folder)).read_bytes()
        except IsADirectoryError as error:
            raise UserError(f"{location}/{name} is a folder instead of a file. Promote another version.") from error
        except MlflowException as error:
            # MLflow raises INTERNAL_ERROR for a missing file and for an outage of S3. In an outage, listing fails, too.
            parent, _, base = name.rpartition("/")
            if base in {item.path.rpartition("/")[2] for item in files.list_artifacts(parent or None)}:
                raise
            raise UserError(f"{location}/{name} is missing. Promote another version, or restore the file.") from error

"""Responses of MLflow's REST API, as far as the service needs them."""

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from contract.signatures import SIGNATURE
from serving.registry.refusals import Code, RefusedError

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
_LOGGED_MODEL = re.compile(r"models:?/(m-[0-9a-f]+)(/artifacts)?/?$")


def _tags(value: Any) -> Any:
    return {tag["key"]: tag["value"] for tag in value} if isinstance(value, list) else value


def _aliases(value: Any) -> Any:
    return {each["alias"]: each["version"] for each in value} if isinstance(value, list) else value


Tags = Annotated[dict[str, str], BeforeValidator(_tags)]


class ModelVersion(BaseModel):
    """A version in the registry."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: Annotated[str, Field(pattern=r"^\d+$")]
    creation_timestamp: int
    source: str
    run_id: str = ""
    model_id: str = ""
    current_stage: str = ""
    tags: Tags = {}

    @property
    def identity(self) -> tuple[str, int, str, str | None]:
        """Return the version's identity, which is more than its number: a new registry begins to count at 1 again."""
        return self.version, self.creation_timestamp, self.source, self.tags.get(SIGNATURE)

    @property
    def logged_model_id(self) -> str | None:
        """Return the ID of the logged model behind the version; the registry's own field is often empty."""
        found = _LOGGED_MODEL.search(self.source)
        return self.model_id or (found[1] if found else None)


class ByAlias(BaseModel):
    """Of `registered-models/alias`."""

    model_version: ModelVersion


class Latest(BaseModel):
    """Of `registered-models/get-latest-versions`; empty where no version is in the stage."""

    model_versions: list[ModelVersion] = []


class RegisteredModel(BaseModel):
    """A registered model."""

    name: str
    latest_versions: list[ModelVersion] = []
    """The latest version in each stage."""
    aliases: Annotated[dict[str, str], BeforeValidator(_aliases)] = {}
    """Alias → number of its version."""


class RegisteredModels(BaseModel):
    """Of `registered-models/search`."""

    registered_models: list[RegisteredModel] = []
    next_page_token: str = ""


class DownloadUri(BaseModel):
    """Of `model-versions/get-download-uri`."""

    artifact_uri: str


class _Info(BaseModel):
    tags: Tags = {}


class _Model(BaseModel):
    info: _Info


class LoggedModel(BaseModel):
    """Of `logged-models/{model_id}`."""

    model: _Model


class _File(BaseModel):
    path: str


class Listing(BaseModel):
    """Of `mlflow-artifacts/artifacts`; the paths are relative to the folder."""

    files: list[_File] = []


class Error(BaseModel):
    """Of any route that fails."""

    error_code: str


def error_code(body: bytes) -> str | None:
    """Return the `error_code` of an MLflow error; None if the body isn't one."""
    try:
        return Error.model_validate_json(body).error_code
    except ValidationError:
        return None


def proxied(artifact_uri: str) -> str:
    """Return the path of `artifact_uri` below the proxy's route."""
    uri = urlsplit(artifact_uri)
    if uri.scheme == "mlflow-artifacts":
        return uri.path.strip("/")
    if uri.scheme in ("http", "https") and f"{ARTIFACTS}/" in uri.path:
        return uri.path.partition(ARTIFACTS)[2].strip("/")
    raise RefusedError(
        Code.NOT_PROXIED,
        f"its artifacts at {artifact_uri} aren't behind MLflow's proxy: start the server with"
        " --artifacts-destination, and register a model of an experiment made since then",
    )

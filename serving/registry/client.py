"""Client of MLflow's REST API: finds the version in Production, and downloads its files.

Routes, answers and error bodies are those of MLflow 3.17 (`mlflow/server/handlers.py`). MLflow
answers 404 for a model that doesn't exist, but 400 for an alias that isn't set.
"""

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Final, NamedTuple
from urllib.parse import quote

from contract.signatures import SIGNATURE, signing_command
from serving.registry.connection import ABSENT, Connection, UnavailableError
from serving.registry.refusals import Code, RefusedError
from serving.registry.responses import (
    ARTIFACTS,
    ByAlias,
    DownloadUri,
    Latest,
    Listing,
    LoggedModel,
    ModelVersion,
    RegisteredModel,
    RegisteredModels,
    error_code,
    proxied,
)
from serving.settings import Settings

PAGE_MODELS = 100
MAX_PAGES = 100

SHADOW: Final = "shadow"
"""Alias of the version that answers in the shadow of Production."""


class Found(NamedTuple):
    """The versions of a registered model to load."""

    production: ModelVersion | None
    shadow: ModelVersion | None = None


class Registry:
    """Client of the registry. Every method raises `UnavailableError` when MLflow can't be asked."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection = Connection(settings)
        self._logs = settings.log_dir is not None

    @property
    def address(self) -> str:
        """Return the server's address, without credentials."""
        return self._connection.address

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    async def find(self, names: Sequence[str]) -> dict[str, Found]:
        """Return the versions of each registered model; those of several are asked for at once.

        Answers in the shadow are only logged: without a log nobody asks for the versions that give them.
        """
        if len(names) == 1:
            (name,) = names
            production = await self.production(name)
            return {name: Found(production, await self._by_alias(name, SHADOW) if self._logs else None)}
        quoted = ", ".join(f"'{name}'" for name in names)
        models = await self._registered_models(f"name IN ({quoted})")
        return {name: await self._found(models[name]) if name in models else Found(None) for name in names}

    async def production(self, name: str) -> ModelVersion | None:
        """Return the version with the alias or, if the alias isn't set, the latest one in the stage."""
        if (found := await self._by_alias(name, self._settings.alias)) is not None:
            return found
        latest = await self._connection.request(
            Latest,
            "/api/2.0/mlflow/registered-models/get-latest-versions",
            name=name,
            stages=self._settings.stage,
        )
        return latest.model_versions[0] if latest and latest.model_versions else None

    async def _by_alias(self, name: str, alias: str) -> ModelVersion | None:
        found = await self._connection.request(
            ByAlias, "/api/2.0/mlflow/registered-models/alias", name=name, alias=alias
        )
        return found.model_version if found else None

    async def _registered_models(self, filter_string: str) -> dict[str, RegisteredModel]:
        """Return the registered models that pass a filter, by name."""
        path, models = "/api/2.0/mlflow/registered-models/search", dict[str, RegisteredModel]()
        page: dict[str, str] = {}
        for _ in range(MAX_PAGES):
            found = await self._connection.request(
                RegisteredModels, path, filter=filter_string, max_results=str(PAGE_MODELS), **page
            )
            if found is None:
                raise UnavailableError(f"MLflow at {self.address} has no {path}")
            models |= {model.name: model for model in found.registered_models}
            if not found.next_page_token:
                break
            page = {"page_token": found.next_page_token}
        return models

    async def _found(self, model: RegisteredModel) -> Found:
        in_stage = (each for each in model.latest_versions if each.current_stage == self._settings.stage)
        production = await self._aliased(model, self._settings.alias)
        shadow = await self._aliased(model, SHADOW) if self._logs else None
        return Found(production or next(in_stage, None), shadow)

    async def _aliased(self, model: RegisteredModel, alias: str) -> ModelVersion | None:
        """Return the version with an alias; it is asked for by itself if it isn't the latest one of its stage."""
        if (number := model.aliases.get(alias)) is None:
            return None
        found = next((each for each in model.latest_versions if each.version == number), None)
        return found or await self._by_alias(model.name, alias)

    async def signature(self, version: ModelVersion) -> str:
        """Return the tag `signature` of the version or of its logged model, which anybody may have written.

        Raises:
            RefusedError: neither has one.
        """
        tag = version.tags.get(SIGNATURE)
        model_id = version.logged_model_id
        if tag is None and model_id is not None:
            logged = await self._connection.request(
                LoggedModel, f"/api/2.0/mlflow/logged-models/{quote(model_id, safe='')}"
            )
            tag = logged.model.info.tags.get(SIGNATURE) if logged else None
        if tag is None:
            raise RefusedError(
                Code.UNSIGNED,
                f"neither version {version.version} nor its logged model ({model_id or 'it has none'}) has a tag "
                f"`{SIGNATURE}`, so nobody vouches for its files. Register a model that the pipeline logged, or look "
                f"at this one and sign it: {signing_command(version.name, version.version)}",
            )
        return tag

    async def download(self, version: ModelVersion, names: Iterable[str]) -> dict[str, bytes]:
        """Download files of the version through MLflow's artifact proxy. The caller must verify them.

        Raises:
            RefusedError: a file isn't there or is too large, or the artifacts aren't behind the proxy.
        """
        place = await self._connection.request(
            DownloadUri,
            "/api/2.0/mlflow/model-versions/get-download-uri",
            name=version.name,
            version=version.version,
        )
        if place is None:
            raise UnavailableError(f"version {version.version} was deleted")
        folder = proxied(place.artifact_uri)
        return {name: await self._download(folder, name) for name in names}

    async def _download(self, folder: str, name: str) -> bytes:
        path, limit = f"{ARTIFACTS}/{quote(folder)}/{quote(name)}", self._settings.max_artifact_bytes
        missing = RefusedError(Code.FILE_MISSING, f"{name} isn't among the version's artifacts")
        try:
            status, content = await self._connection.get(path, limit, {})
        except UnavailableError:
            if await self._has(folder, name):
                raise
            raise missing from None
        if status != 200 and error_code(content) in ABSENT:
            raise missing
        if status != 200:
            raise self._connection.unexpected(path, status, content)
        if len(content) > limit:
            raise RefusedError(Code.FILE_TOO_LARGE, f"{name} is larger than {limit} bytes")
        return content

    async def _has(self, folder: str, name: str) -> bool:
        """Return whether the store has the file: MLflow answers 500 to the download of a missing one."""
        path = PurePosixPath(folder, name)
        listing = await self._connection.request(Listing, ARTIFACTS, path=str(path.parent))
        return listing is not None and path.name in [file.path for file in listing.files]

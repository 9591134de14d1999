"""Client of MLflow's REST API: finds the version in Production, and downloads its files.

Routes, answers and error bodies are those of MLflow 3.17 (`mlflow/server/handlers.py`). MLflow
answers 404 for a model that doesn't exist, but 400 for an alias that isn't set.
"""

import asyncio
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from contract.signatures import SIGNATURE
from serving.registry.refusals import Code, RefusedError
from serving.registry.responses import (
    ARTIFACTS,
    ByAlias,
    DownloadUri,
    Latest,
    Listing,
    LoggedModel,
    ModelVersion,
    error_code,
    proxied,
)
from serving.settings import Settings

RETRY_AFTER_SECONDS = 0.2
READ_TIMEOUTS = 12
"""Timeout of a whole answer, in read timeouts: two minutes with the default of 10 s."""
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
MAX_JSON_BYTES = 4 * 1024 * 1024


class UnavailableError(Exception):
    """MLflow doesn't answer, or answers unexpectedly; a later try may succeed."""


Answer = TypeVar("Answer", bound=BaseModel)


class Registry:
    """Client of one registered model. Every method raises `UnavailableError` when MLflow can't be asked."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        timeout = httpx.Timeout(settings.read_timeout_seconds, connect=settings.connect_timeout_seconds)
        self._client = httpx.AsyncClient(base_url=str(settings.mlflow_tracking_uri), timeout=timeout)
        self.address = str(self._client.base_url.copy_with(userinfo=b"")).rstrip("/")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def production(self) -> ModelVersion | None:
        """Return the version with the alias or, if the alias isn't set, the latest one in the stage."""
        name = self._settings.model_name
        found = await self._request(
            ByAlias, "/api/2.0/mlflow/registered-models/alias", name=name, alias=self._settings.alias
        )
        if found is not None:
            return found.model_version
        latest = await self._request(
            Latest,
            "/api/2.0/mlflow/registered-models/get-latest-versions",
            name=name,
            stages=self._settings.stage,
        )
        return latest.model_versions[0] if latest and latest.model_versions else None

    async def signature(self, version: ModelVersion) -> str:
        """Return the tag `signature` of the version or of its logged model, which anybody may have written.

        Raises:
            RefusedError: neither has one.
        """
        tag = version.tags.get(SIGNATURE)
        model_id = version.logged_model_id
        if tag is None and model_id is not None:
            logged = await self._request(LoggedModel, f"/api/2.0/mlflow/logged-models/{quote(model_id, safe='')}")
            tag = logged.model.info.tags.get(SIGNATURE) if logged else None
        if tag is None:
            raise RefusedError(
                Code.UNSIGNED,
                f"neither version {version.version} nor its logged model ({model_id or 'it has none'}) has a tag "
                f"`{SIGNATURE}`, so nobody vouches for its files. Register a model that the pipeline logged, or look "
                f"at this one and sign it: make sign VERSION={version.version} (in containers make compose-sign)",
            )
        return tag

    async def download(self, version: ModelVersion, names: Iterable[str]) -> dict[str, bytes]:
        """Download files of the version through MLflow's artifact proxy. The caller must verify them.

        Raises:
            RefusedError: a file isn't there or is too large, or the artifacts aren't behind the proxy.
        """
        place = await self._request(
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
            status, content = await self._get(path, limit, {})
        except UnavailableError:
            if await self._has(folder, name):
                raise
            raise missing from None
        if status != 200 and error_code(content) in ABSENT:
            raise missing
        if status != 200:
            raise self._unexpected(path, status, content)
        if len(content) > limit:
            raise RefusedError(Code.FILE_TOO_LARGE, f"{name} is larger than {limit} bytes")
        return content

    async def _has(self, folder: str, name: str) -> bool:
        """Return whether the store has the file: MLflow answers 500 to the download of a missing one."""
        path = PurePosixPath(folder, name)
        listing = await self._request(Listing, ARTIFACTS, path=str(path.parent))
        return listing is not None and path.name in [file.path for file in listing.files]

    async def _request(self, kind: type[Answer], path: str, /, **params: str) -> Answer | None:
        """Return the parsed answer of the API; None if the API answers that there is no such thing."""
        status, body = await self._get(path, MAX_JSON_BYTES, params)
        if status != 200:
            if error_code(body) in ABSENT:
                return None
            raise self._unexpected(path, status, body)
        try:
            return kind.model_validate_json(body)
        except ValidationError as error:
            raise self._unexpected(path, status, body) from error

    async def _get(self, path: str, limit: int, params: dict[str, str]) -> tuple[int, bytes]:
        """Return status and body, cut off soon after `limit`; try a second time if the first one fails."""
        try:
            return await self._get_once(path, limit, params)
        except UnavailableError:
            await asyncio.sleep(RETRY_AFTER_SECONDS)
            return await self._get_once(path, limit, params)

    async def _get_once(self, path: str, limit: int, params: dict[str, str]) -> tuple[int, bytes]:
        body, seconds = bytearray(), READ_TIMEOUTS * self._settings.read_timeout_seconds
        try:
            async with asyncio.timeout(seconds), self._client.stream("GET", path, params=params) as response:
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > limit:
                        break
        except TimeoutError as error:
            raise UnavailableError(f"MLflow at {self.address} hasn't finished its answer in {seconds:g} s") from error
        except httpx.RequestError as error:
            detail = f"{type(error).__name__}: {error}".removesuffix(": ")
            raise UnavailableError(f"MLflow at {self.address} can't be reached ({detail})") from error
        if response.status_code >= 500:
            raise self._unexpected(path, response.status_code, bytes(body))
        return response.status_code, bytes(body)

    def _unexpected(self, path: str, status: int, body: bytes) -> UnavailableError:
        return UnavailableError(f"MLflow at {self.address} answered {status} to {path}: {_excerpt(body)}")


def _excerpt(body: bytes) -> str:
    return " ".join(body[:200].decode(errors="replace").split())

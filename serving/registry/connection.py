"""Requests to MLflow's REST API."""

import asyncio
import ssl
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from serving.registry.responses import error_code
from serving.settings import Settings

RETRY_AFTER_SECONDS = 0.2
READ_TIMEOUTS = 12
"""Timeout of a whole answer, in read timeouts: two minutes with the default of 10 s."""
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
MAX_JSON_BYTES = 4 * 1024 * 1024

Answer = TypeVar("Answer", bound=BaseModel)


class UnavailableError(Exception):
    """MLflow doesn't answer, or answers unexpectedly; a later try may succeed."""


class Connection:
    """Connections to one server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        timeout = httpx.Timeout(settings.read_timeout_seconds, connect=settings.connect_timeout_seconds)
        url = settings.mlflow_tracking_uri
        # The certificates of all authorities would take a megabyte.
        verify = True if url.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client = httpx.AsyncClient(base_url=str(url), timeout=timeout, verify=verify)
        self.address = str(self._client.base_url.copy_with(userinfo=b"")).rstrip("/")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def request(self, kind: type[Answer], path: str, /, **params: str) -> Answer | None:
        """Return the parsed answer of the API; None if the API answers that there is no such thing."""
        status, body = await self.get(path, MAX_JSON_BYTES, params)
        if status != 200:
            if error_code(body) in ABSENT:
                return None
            raise self.unexpected(path, status, body)
        try:
            return kind.model_validate_json(body)
        except ValidationError as error:
            raise self.unexpected(path, status, body) from error

    async def get(self, path: str, limit: int, params: dict[str, str]) -> tuple[int, bytes]:
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
            raise self.unexpected(path, response.status_code, bytes(body))
        return response.status_code, bytes(body)

    def unexpected(self, path: str, status: int, body: bytes) -> UnavailableError:
        """Return the error of an answer that isn't MLflow's."""
        return UnavailableError(f"MLflow at {self.address} answered {status} to {path}: {_excerpt(body)}")


def _excerpt(body: bytes) -> str:
    return " ".join(body[:200].decode(errors="replace").split())

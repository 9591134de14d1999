"""Responses that the endpoints share: JSON, and the errors."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import ceil
from typing import Any, TypedDict, cast

from fastapi import Request, Response
from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.types import Scope

from serving.codecs.errors import shown
from serving.log.log import PredictionLog
from serving.reload.models import Models
from serving.reload.watcher import Watcher
from serving.settings import Settings
from serving.tables.pool import Tables


class Failure(BaseModel):
    """The reason why a request wasn't answered."""

    detail: str = Field(description="The reason, for people to read.")


class NotReady(Failure):
    """The service can't answer now."""

    reason: str = Field(description="The reason, for programs to read.", examples=["no_production"])


class RequestError(Exception):
    """A request can't be answered."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


SCORING = "/invocations"
"""Path of MLflow's scoring protocol, also at the end of those of a model."""

OPEN_INFERENCE = "/v2"
"""Begin of the paths of the Open Inference Protocol."""

MLFLOW_CODES = {
    401: "UNAUTHENTICATED",
    404: "RESOURCE_DOES_NOT_EXIST",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}

NO_STORE = {"Cache-Control": "no-store"}
"""Of answers that hold for the moment only."""

RETRY_AFTER = {"Retry-After": {"description": "Seconds until the next try.", "schema": {"type": "integer"}}}

NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {
        "model": NotReady,
        "description": "There is no model to serve; `reason` and `detail` say why.",
        "headers": RETRY_AFTER,
    }
}
NO_MODEL: dict[int | str, dict[str, Any]] = {404: {"model": Failure, "description": "No such model is served."}}
NO_KEY: dict[int | str, dict[str, Any]] = {
    401: {"model": Failure, "description": "The service wants an API key, and there is none or another one."}
}


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return `content`, a pydantic model or plain data, as JSON that nobody keeps."""
    return Response(to_json(content), status, {**NO_STORE, **(headers or {})}, "application/json")


class Answer(Response):
    """An answer, mostly in JSON. Its headers are encoded already: Starlette would take longer than the model does."""

    def __init__(
        self, content: bytes, headers: Iterable[tuple[bytes, bytes]], media_type: bytes = b"application/json"
    ) -> None:
        """Take the body, and the headers beside those of the body."""
        self.status_code, self.background, self.body = 200, None, content
        self.raw_headers = [
            *headers,
            (b"content-length", b"%d" % len(content)),
            (b"content-type", media_type),
        ]


def refused(path: str, status: int, detail: str, headers: Mapping[str, str] | None = None, **more: str) -> Response:
    """Return a refusal in the form that the clients of a path read.

    Args:
        more: further fields.
    """
    if path.startswith(OPEN_INFERENCE):
        return json_response({"error": detail} | more, status, headers)
    if path.endswith(SCORING):
        code = MLFLOW_CODES.get(status, "BAD_REQUEST")
        return json_response({"error_code": code, "message": detail} | more, status, headers)
    return json_response({"detail": detail} | more, status, headers)


def not_ready(watcher: Watcher, settings: Settings, path: str = "") -> Response:
    """Return 503 with the reason why there is no model, and the seconds until the next try."""
    reason, detail = watcher.unready_reason
    return unavailable(reason, f"no model to serve yet: {detail}", ceil(settings.poll_seconds), path)


def unavailable(reason: str, detail: str, retry_after: int, path: str = "") -> Response:
    """Return 503 with its reason, and the seconds until the next try, in the form of a path."""
    return refused(path, 503, detail, {"Retry-After": str(retry_after)}, reason=reason)


def media_type_of(scope: Scope) -> str:
    """Return the media type of the request's body: the first `Content-Type`, without parameters."""
    return _media_type(declared_type(scope))


def declared_type(scope: Scope) -> bytes:
    """Return the first `Content-Type` of the request."""
    for name, value in scope["headers"]:
        if name == b"content-type":
            declared: bytes = value
            return declared
    return b""


@lru_cache(maxsize=64)
def _media_type(declared: bytes) -> str:
    return str(declared.partition(b";")[0].strip().lower(), "latin-1")


class State(TypedDict):
    """State of the application, which the server adds to every request."""

    settings: Settings
    models: Models
    tables: Tables
    log: PredictionLog | None


def models_of(request: Request) -> Models:
    """Return the app's models."""
    return cast(State, request.scope["state"])["models"]


def watcher_of(request: Request) -> Watcher:
    """Return the watcher of the model in the request's path, by default of the first one.

    Raises:
        RequestError: no such model is served.
    """
    models, name = models_of(request), request.scope.get("path_params", {}).get("model")
    watcher = models.first if name is None else models.get(name)
    if watcher is None:
        raise RequestError(404, f"no model {shown(name)} is served here: GET /models lists them")
    return watcher


async def request_error(request: Request, error: Exception) -> Response:
    """Return the answer to a request that can't be answered."""
    known = cast(RequestError, error)
    return refused(request.scope["path"], known.status, known.detail)


def tables_of(request: Request) -> Tables:
    """Return the app's workers of tables."""
    return cast(State, request.scope["state"])["tables"]


def log_of(request: Request) -> PredictionLog | None:
    """Return the app's prediction log; None if nothing is logged."""
    state: State = request.scope["state"]  # `cast` takes longer
    return state["log"]


def settings_of(request: Request) -> Settings:
    """Return the app's settings."""
    return cast(State, request.scope["state"])["settings"]

"""What every request goes through: its id, the API key, the limits, the counts and the log.

Written as plain ASGI: one `@app.middleware("http")` would take two thirds of the requests a second. For
the same reason it hands predictions to their endpoint itself, past FastAPI's middleware and routing.
"""

import asyncio
import itertools
import logging
import os
import re
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from fastapi import Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import metrics
from serving.api.keys import Keys
from serving.api.responses import Failure, NotReady, json_response, media_type_of
from serving.api.tables import MEDIA_TYPES
from serving.logs import REQUEST_ID
from serving.settings import Settings

OVERLOADED_RETRY_SECONDS = 1
PROTECTED = ("/predict", "/model")
"""The routes that need a key, with all that are below them."""

ROUTES = {"/", "/docs", "/openapi.json", "/predict", "/model", "/model/history", "/model/points", "/metrics"}
ROUTES |= {"/health/live", "/health/ready"}
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")

_PROCESS = os.urandom(12).hex().encode()
_numbers = itertools.count(1)
"""A random number for each request would cost a system call."""

logger = logging.getLogger("serving.access")

Endpoint = Callable[[Request], Awaitable[Response]]


class Limit:
    """How much may be under way at once."""

    def __init__(self, most: int, what: str) -> None:
        self.most, self.what, self.under_way = most, what, 0


class UnreadError(Exception):
    """The client doesn't read its answer."""


class Front:
    """The outermost application."""

    def __init__(self, app: ASGIApp, settings: Settings, keys: Keys, predict: Endpoint) -> None:
        self._app = app
        self._predict = predict
        self._keys = keys
        self._requests = Limit(settings.max_requests, "predictions")
        self._tables = Limit(settings.max_tables, "tables")
        self._patience = settings.body_seconds
        self._access_log = settings.access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; pass on what isn't one."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = perf_counter(), 0
        headers = dict(scope["headers"])
        request_id = _request_id(headers)
        REQUEST_ID.set(request_id.decode())

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        try:
            await self._handle(scope, receive, answer, headers)
        except UnreadError:  # The server closes the connection of an answer that isn't whole.
            logger.warning("request.given_up path=%r: the client doesn't read its answer", scope["path"])
        except Exception:
            logger.exception("request.failed method=%s path=%r", scope["method"], scope["path"])
            if status:  # The answer has begun: breaking it off is what is left to say that it isn't whole.
                raise
            await json_response(Failure(detail="the service failed; its log says why"), 500)(scope, receive, answer)
        finally:
            self._note(scope, status, perf_counter() - started)

    async def _handle(self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes]) -> None:
        path = scope["path"]
        if self._keys.wanted and path.startswith(PROTECTED) and not self._keys.accept(headers.get(b"x-api-key", b"")):
            await _no_key()(scope, receive, send)
        elif path == "/predict" and scope["method"] == "POST":
            limit = self._tables if media_type_of(scope) in MEDIA_TYPES else self._requests
            if limit.under_way >= limit.most:
                await _overloaded(limit)(scope, receive, send)
                return
            limit.under_way += 1
            try:
                response = await self._predict(Request(scope, receive))
                await response(scope, receive, self._patient(send) if limit is self._tables else send)
            finally:
                limit.under_way -= 1
        else:
            await self._app(scope, receive, send)

    def _patient(self, send: Send) -> Send:
        """Give up on a client that doesn't read its answer: it would hold its place for ever."""

        async def wait(message: Message) -> None:
            try:
                async with asyncio.timeout(self._patience):
                    await send(message)
            except TimeoutError:
                raise UnreadError from None

        return wait

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        # Or else everybody could make up labels.
        path, method = scope["path"], scope["method"]
        route, known = (path if path in ROUTES else "other"), (method if method in METHODS else "other")
        metrics.answered(known, route, status).inc()
        metrics.seconds(route).observe(seconds)
        if self._access_log:
            fields: dict[str, Any] = {"method": method, "path": path, "status": status}
            logger.info("request.answered", extra={"fields": fields | {"milliseconds": round(seconds * 1000, 3)}})


def _request_id(headers: dict[bytes, bytes]) -> bytes:
    """Return the client's id of the request if it is one, else a new one."""
    given = headers.get(b"x-request-id", b"")
    return given if _ID.fullmatch(given) else b"%s-%x" % (_PROCESS, next(_numbers))


def _no_key() -> Response:
    body = Failure(detail="this needs an API key: send it in the header X-API-Key")
    return json_response(body, 401, {"WWW-Authenticate": 'ApiKey header="X-API-Key"'})


def _overloaded(limit: Limit) -> Response:
    body = NotReady(detail=f"{limit.most} {limit.what} are under way, which is the limit", reason="overloaded")
    return json_response(body, 503, {"Retry-After": str(OVERLOADED_RETRY_SECONDS)})

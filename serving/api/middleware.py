"""Middleware for every request: request ID, API key, limits, counters and access log.

Plain ASGI: one `@app.middleware("http")` would cost two thirds of the requests a second. For the same reason
predictions go to their endpoint directly, past FastAPI's own middleware and routing.
"""

import asyncio
import itertools
import logging
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from serving import metrics
from serving.api.hosts import Hosts
from serving.api.keys import Keys
from serving.api.predict_json import Form
from serving.api.responses import media_type_of, refused, unavailable
from serving.codecs.media_types import TABLES
from serving.logs import REQUEST_ID
from serving.settings import Settings

OVERLOADED_RETRY_SECONDS = 1
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")

_MODEL = re.compile(r"(/v2)?/models/([^/]+)(?:/versions/([^/]+))?(/[a-z]+)?")

_FEEDBACK = re.compile(r"(/models/[^/]+)?/feedback")

_PROCESS = os.urandom(12).hex().encode()
_numbers = itertools.count(1)
"""A random number for each request would cost a system call."""

logger = logging.getLogger("serving.access")

Endpoint = Callable[[Request], Awaitable[Response]]


class Limit:
    """The number of requests of a kind under way, and the most that may be."""

    def __init__(self, most: int, kind: str) -> None:
        self.most, self.kind, self.under_way = most, kind, 0


class UnreadError(Exception):
    """The client takes too long to read its answer."""


class Middleware:
    """The outermost application."""

    def __init__(
        self,
        app: FastAPI,
        settings: Settings,
        keys: Keys,
        endpoints: Mapping[str, Endpoint],
        forms: Mapping[str, Form],
    ) -> None:
        """Wrap `app`.

        The routes are those of `app`. A route whose `responses` have a 401 is protected, with all paths that begin with
        its fixed part: `/models` of `/models/{name}`.

        Args:
            endpoints: route → endpoint of the requests for predictions.
            forms: those of the routes whose small requests are answered without their endpoint.
        """
        self._app = app
        self.forms = {path.encode(): form for path, form in forms.items()}
        self._endpoints = endpoints
        self._routes = {route.path for route in app.routes if isinstance(route, Route)}
        protected = [route.path for route in app.routes if isinstance(route, APIRoute) and 401 in route.responses]
        self._protected = tuple(path.partition("{")[0].rstrip("/") for path in protected)
        self._hosts = Hosts(settings)
        self._keys = keys
        self._requests = Limit(settings.max_requests, "predictions")
        self._tables = Limit(settings.max_tables, "tables")
        self._feedback = Limit(settings.max_requests, "requests with feedback")
        self._table_seconds = settings.table_seconds
        self._access_log = settings.access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an HTTP request; pass other events on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = perf_counter(), 0
        headers = dict(scope["headers"])
        request_id = request_id_of(headers)
        REQUEST_ID.set(request_id.decode())

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        try:
            await self._handle(scope, receive, send_with_id, headers)
        except UnreadError:  # the server closes the connection of an incomplete answer
            logger.warning("request.given_up path=%r: the client reads its answer too slowly", scope["path"])
        except Exception:
            logger.exception("request.failed method=%s path=%r", scope["method"], scope["path"])
            if status:  # the answer has begun: only breaking it off shows that it is incomplete
                raise
            failure = refused(scope["path"], 500, "the service failed; its log says why")
            await failure(scope, receive, send_with_id)
        finally:
            self.record(scope["method"], scope["path"], status, perf_counter() - started)

    def accept(self, headers: Mapping[bytes, bytes]) -> bool:
        """Return whether a request for a prediction without a table is to be answered, and not to be logged."""
        return (
            self._hosts.accept(headers.get(b"host", b""))
            and (not self._keys.required or self._keys.accept(headers.get(b"x-api-key", b"")))
            and self._requests.under_way < self._requests.most
            and not self._access_log
        )

    async def _handle(self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes]) -> None:
        path, key = scope["path"], headers.get(b"x-api-key", b"")
        # `startswith` covers more than the routes: too much protection is better than too little.
        if not self._hosts.accept(headers.get(b"host", b"")):
            await _foreign_host(path)(scope, receive, send)
        elif self._keys.required and path.startswith(self._protected) and not self._keys.accept(key):
            await _no_key(path)(scope, receive, send)
        elif scope["method"] == "POST" and (endpoint := self._endpoints.get(path) or self._endpoint_of_model(scope)):
            limit = self._limit(scope)
            if limit.under_way >= limit.most:
                await _overloaded(limit, path)(scope, receive, send)
                return
            limit.under_way += 1
            try:
                response = await endpoint(Request(scope, receive))
                if limit is self._tables:  # its answer occupies the disk until it is sent
                    await self._send_table(response, scope, receive, send)
                    return
            finally:
                limit.under_way -= 1
            await response(scope, receive, send)
        elif scope["method"] == "POST" and _FEEDBACK.fullmatch(path):
            # Feedback waits for the disk, which must not keep predictions from being answered.
            limit = self._tables if media_type_of(scope) in TABLES else self._feedback
            if limit.under_way >= limit.most:
                await _overloaded(limit, path)(scope, receive, send)
                return
            limit.under_way += 1
            try:
                await self._app(scope, receive, send)
            finally:
                limit.under_way -= 1
        else:
            await self._app(scope, receive, send)

    def _endpoint_of_model(self, scope: Scope) -> Endpoint | None:
        """Return the endpoint of a path that names a model, and add the names in it to the request."""
        route, names = _route_of_model(scope["path"])
        if endpoint := self._endpoints.get(route):
            scope["path_params"] = names
        return endpoint

    def _limit(self, scope: Scope) -> Limit:
        return self._tables if media_type_of(scope) in TABLES else self._requests

    async def _send_table(self, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._table_seconds):
                await response(scope, receive, send)
        except TimeoutError:
            raise UnreadError from None

    def _route(self, path: str) -> str:
        route, _ = _route_of_model(path)
        return route if route in self._routes else "other"

    def record(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count an answered request, and write it to the access log if there is one."""
        # Unknown paths and methods share a label: clients could make up any number of them.
        route = path if path in self._routes else self._route(path)
        metrics.requests(method if method in METHODS else "other", route, status).inc()
        metrics.request_seconds(route).observe(seconds)
        if self._access_log:
            fields: dict[str, Any] = {"method": method, "path": path, "status": status}
            logger.info("request.answered", extra={"fields": fields | {"milliseconds": round(seconds * 1000, 3)}})


def _route_of_model(path: str) -> tuple[str, dict[str, str]]:
    """Return the route of a path that names a model, empty for another path, and the names in it."""
    found = _MODEL.fullmatch(path)
    if not found:
        return "", {}
    protocol, model, version, rest = found.groups(default="")
    if version:
        return f"{protocol}/models/{{model}}/versions/{{version}}{rest}", {"model": model, "version": version}
    return f"{protocol}/models/{{model}}{rest}", {"model": model}


def request_id_of(headers: Mapping[bytes, bytes]) -> bytes:
    """Return the request ID that the client sent if it is valid, else a new one."""
    given = headers.get(b"x-request-id", b"")
    return given if _ID.fullmatch(given) else b"%s-%x" % (_PROCESS, next(_numbers))


def _foreign_host(path: str) -> Response:
    detail = "the service doesn't answer under the name in the header Host: SERVING_ALLOWED_HOSTS adds names"
    return refused(path, 421, detail)


def _no_key(path: str) -> Response:
    detail = "this needs an API key: send it in the header X-API-Key"
    return refused(path, 401, detail, {"WWW-Authenticate": 'ApiKey header="X-API-Key"'})


def _overloaded(limit: Limit, path: str) -> Response:
    detail = f"{limit.most} {limit.kind} are under way, which is the limit"
    return unavailable("overloaded", detail, OVERLOADED_RETRY_SECONDS, path)

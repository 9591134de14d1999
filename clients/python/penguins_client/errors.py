"""Errors of a call."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx


@dataclass(frozen=True)
class Problem:
    """A value that the service refuses.

    Attributes:
        location: index of the row, if there is one, and name of the field.
        message: for people to read.
        kind: for programs to read.
    """

    location: tuple[str | int, ...]
    message: str
    kind: str


class ServiceError(Exception):
    """The service doesn't answer a call as it should.

    Attributes:
        status: of the response; None if there is none.
        request_id: by which the log of the service names the request.
    """

    def __init__(self, message: str, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(f"{message} (request {request_id})" if request_id else message)
        self.status, self.request_id = status, request_id


class RefusedError(ServiceError):
    """The service refuses what was sent: a value, a key, a size or a type.

    Attributes:
        problems: the values that it refuses.
    """

    def __init__(self, message: str, status: int, request_id: str | None, problems: tuple[Problem, ...]) -> None:
        super().__init__(message, status, request_id)
        self.problems = problems


class UnavailableError(ServiceError):
    """The service can't be reached, or can't answer now, and repeating the call didn't help."""


def error_of(response: httpx.Response) -> ServiceError:
    """Return the error that a response is."""
    status, request_id = response.status_code, response.headers.get("X-Request-Id")
    detail = _detail(response)
    problems = tuple(map(_problem, detail)) if isinstance(detail, list) else ()
    text = "; ".join(problem.message for problem in problems) or str(detail)
    message = f"{response.request.url} answers with {status}: {text}"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return UnavailableError(message, status, request_id)
    if response.is_client_error:
        return RefusedError(message, status, request_id, problems)
    return ServiceError(message, status, request_id)


def _detail(response: httpx.Response) -> Any:
    """Return the reason that the service gives, or the first characters of what another program answers."""
    try:
        return response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return response.text[:200] or response.reason_phrase


def _problem(detail: Any) -> Problem:
    try:
        return Problem(tuple(detail["loc"][1:]), detail["msg"], detail["type"])
    except (KeyError, TypeError):
        return Problem((), str(detail)[:200], "unknown")

"""When a failed call is made again."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import httpx

from penguins_client.errors import UnavailableError

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 10.0
_AGAIN: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class Retries:
    """The pauses between the attempts of one call, and their end."""

    def __init__(self, seconds: float) -> None:
        """Allow attempts until so many seconds have passed."""
        self._deadline = time.monotonic() + seconds
        self._pause = _FIRST_PAUSE

    def after_response(self, response: httpx.Response) -> float | None:
        """Return the seconds to wait before the next attempt; None if the response is to be taken as it is."""
        if response.status_code not in _AGAIN:
            return None
        return self._next(_retry_after(response.headers))

    def after_error(self, error: httpx.TransportError) -> float:
        """Return the seconds to wait before the next attempt.

        Raises:
            UnavailableError: there is none.
        """
        pause = self._next(None)
        if pause is None:
            raise UnavailableError(f"{error.request.url} can't be reached: {error or type(error).__name__}") from error
        return pause

    def _next(self, wanted: float | None) -> float | None:
        pause = self._pause if wanted is None else wanted
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        return pause if time.monotonic() + pause <= self._deadline else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of `Retry-After`, which may be a time (RFC 9110, 10.2.3); None if there are none."""
    text = headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None

"""Receive the body of a request, within limits of size and time, and work for a client while it is there."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request
from starlette.types import Message

from serving.api.responses import RequestError
from serving.settings import Settings

Result = TypeVar("Result")

IS_WHOLE = "penguins.body_is_whole"
"""Key of a request's scope that the protocol adds when the whole body is there."""


async def receive(
    request: Request, limit: int, keep: Callable[[bytes], object], settings: Settings, seconds: float
) -> None:
    """Pass the body to `keep`, piece by piece.

    A client may pause for `body_seconds`, and later be behind `min_bytes_per_second` by as much.

    Args:
        limit: most bytes of the body.
        seconds: timeout for the whole body.

    Raises:
        RequestError: the body is larger than `limit`, or the client was too slow or went away.
    """
    if IS_WHOLE in request.scope:  # a timeout would take longer than the rest of this function
        piece = _piece(await request.receive())
        if len(piece) > limit:
            raise _too_large(limit)
        keep(piece)
        return
    declared = request.headers.get("content-length", "").lstrip("0")  # int() refuses thousands of digits
    if declared and int(declared) > limit:
        raise _too_large(limit)
    received, more = 0, True
    pause, rate = settings.body_seconds, settings.min_bytes_per_second
    clock = asyncio.get_running_loop().time
    started = clock()
    try:
        async with asyncio.timeout_at(started + min(seconds, pause)) as timeout:
            while more:
                piece = _piece(message := await request.receive())
                more = message.get("more_body", False)
                received += len(piece)
                if received > limit:
                    raise _too_large(limit)
                keep(piece)
                if more:
                    timeout.reschedule(min(started + seconds, clock() + pause, started + pause + received / rate))
    except TimeoutError:
        waited = round(clock() - started, 1)
        raise RequestError(408, f"the body wasn't whole after {waited:g} s: only {received} bytes came") from None


def _piece(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise _gone()
    piece: bytes = message.get("body", b"")
    return piece


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of `work`; cancel it when the client goes away. The whole body was received before.

    Raises:
        RequestError: the client went away.
    """
    working = asyncio.create_task(work)
    tasks = working, asyncio.create_task(_wait_for_end(request))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise _gone()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _wait_for_end(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _gone() -> RequestError:
    return RequestError(400, "the client went away")


def _too_large(limit: int) -> RequestError:
    return RequestError(413, f"the body is larger than {limit} bytes")

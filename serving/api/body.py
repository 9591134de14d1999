"""Receive the body of a request, within limits of size and time."""

import asyncio
from collections.abc import Callable

from fastapi import Request

from serving.api.responses import RequestError


async def receive(
    request: Request, limit: int, keep: Callable[[bytes], object], seconds: float, *, each_piece: bool = False
) -> None:
    """Pass the body to `keep`, piece by piece.

    Args:
        limit: most bytes of the body.
        seconds: timeout for the whole body or, with `each_piece`, for each piece.

    Raises:
        RequestError: the body is larger than `limit`, or the client was too slow or went away.
    """
    declared = request.headers.get("content-length", "").lstrip("0")  # int() refuses thousands of digits
    if declared and int(declared) > limit:
        raise _too_large(limit)
    received, more = 0, True
    try:
        async with asyncio.timeout(seconds) as timeout:
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise RequestError(400, "the client went away")
                more, piece = message.get("more_body", False), message.get("body", b"")
                received += len(piece)
                if received > limit:
                    raise _too_large(limit)
                keep(piece)
                if each_piece:
                    timeout.reschedule(asyncio.get_running_loop().time() + seconds)
    except TimeoutError:
        raise RequestError(408, f"the body wasn't whole after {seconds:g} s of waiting") from None


def _too_large(limit: int) -> RequestError:
    return RequestError(413, f"the body is larger than {limit} bytes")

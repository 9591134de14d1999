"""Answer one row or a list of rows, in JSON."""

import asyncio
from io import BytesIO

from fastapi import Request, Response

from serving.api.body import receive
from serving.api.responses import RequestError
from serving.codecs.media_types import JSON, TABLES
from serving.inference.model import LoadedModel
from serving.inference.prediction import predict
from serving.settings import Settings

IN_THREAD_BYTES = 16 * 1024
"""Longer bodies are answered in a thread: they would block the event loop for a millisecond and more."""


async def predict_json(request: Request, model: LoadedModel, settings: Settings) -> Response:
    """Answer JSON with JSON.

    Raises:
        RequestError, InvalidError: the body can't be answered.
    """
    body, headers = BytesIO(), {"X-Model-Version": model.version}
    await receive(request, settings.max_body_bytes, body.write, settings, settings.body_seconds)
    size = body.tell()
    body.seek(0)
    if size > IN_THREAD_BYTES:
        content = await asyncio.to_thread(answer_json, body, model, settings.max_rows)
    else:
        content = answer_json(body, model, settings.max_rows)
    return Response(content, headers=headers, media_type=JSON)


def answer_json(body: BytesIO, model: LoadedModel, max_rows: int) -> bytes:
    """Return the answer in JSON; raise the errors of `predict_json`."""
    (rows,) = model.json.decode(body)
    if not isinstance(rows, tuple) and len(rows) > max_rows:
        text = f"the list has {len(rows)} {model.json.fields.noun}s, and at most {max_rows} are answered at once"
        raise RequestError(413, f"{text}: send several lists, or a table ({', '.join(TABLES)})")
    return b"".join(model.json.encode([predict(model, rows)]))

"""Answer one row or a list of rows, in JSON."""

import asyncio
from io import BytesIO
from time import perf_counter

from fastapi import Request, Response

from serving.api.body import receive
from serving.api.responses import RequestError, log_of
from serving.codecs.base import Prediction, Predictions
from serving.codecs.media_types import JSON, TABLES
from serving.inference.model import LoadedModel
from serving.inference.prediction import predict
from serving.settings import Settings

IN_THREAD_BYTES = 16 * 1024
"""Longer bodies are answered in a thread: they would block the event loop for a millisecond and more."""


async def predict_json(request: Request, model: LoadedModel, settings: Settings) -> Response:
    """Answer JSON with JSON; with a log the prediction's id is its last key.

    Raises:
        RequestError, InvalidError: the body can't be answered.
    """
    started, body, headers = perf_counter(), BytesIO(), {"X-Model-Version": model.version}
    await receive(request, settings.max_body_bytes, body.write, settings, settings.body_seconds)
    size = body.tell()
    body.seek(0)
    if size > IN_THREAD_BYTES:
        answer, content = await asyncio.to_thread(answer_json, body, model, settings.max_rows)
    else:
        answer, content = answer_json(body, model, settings.max_rows)
    if (log := log_of(request)) and (prediction_id := log.record(model, answer, started)):
        headers["X-Prediction-Id"] = prediction_id
        content = b'%s,"prediction_id":"%s"}' % (content[:-1], prediction_id.encode())
    return Response(content, headers=headers, media_type=JSON)


def answer_json(body: BytesIO, model: LoadedModel, max_rows: int) -> tuple[Prediction | Predictions, bytes]:
    """Return the answer, and the same in JSON; raise the errors of `predict_json`."""
    (rows,) = model.json.decode(body)
    if not isinstance(rows, tuple) and len(rows) > max_rows:
        text = f"the list has {len(rows)} {model.json.fields.noun}s, and at most {max_rows} are answered at once"
        raise RequestError(413, f"{text}: send several lists, or a table ({', '.join(TABLES)})")
    answer = predict(model, rows)
    return answer, b"".join(model.json.encode([answer]))

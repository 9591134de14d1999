"""Answer one row or a list of rows, in JSON."""

import asyncio
from time import perf_counter

from fastapi import Request, Response

from serving.api.body import receive
from serving.api.responses import Answer, RequestError, log_of
from serving.codecs.base import Prediction, Predictions
from serving.codecs.media_types import TABLES
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
    started, headers = perf_counter(), [(b"x-model-version", model.version.encode())]
    received = bytearray()
    await receive(request, settings.max_body_bytes, received.extend, settings, settings.body_seconds)
    body = bytes(received)
    if len(body) > IN_THREAD_BYTES:
        answer, content = await asyncio.to_thread(answer_json, body, model, settings.max_rows)
    else:
        answer, content = answer_json(body, model, settings.max_rows)
    if (log := log_of(request)) and (prediction_id := log.record(model, answer, started)):
        headers.append((b"x-prediction-id", prediction_id))
        content = b"".join((content[:-1], b',"prediction_id":"', prediction_id, b'"}'))
    return Answer(content, headers)


def answer_json(body: bytes, model: LoadedModel, max_rows: int) -> tuple[Prediction | Predictions, bytes]:
    """Return the answer, and the same in JSON; raise the errors of `predict_json`."""
    rows = model.json.read(body)
    if not isinstance(rows, tuple) and len(rows) > max_rows:
        text = f"the list has {len(rows)} {model.json.fields.noun}s, and at most {max_rows} are answered at once"
        raise RequestError(413, f"{text}: send several lists, or a table ({', '.join(TABLES)})")
    answer = predict(model, rows)
    return answer, model.json.write(answer)

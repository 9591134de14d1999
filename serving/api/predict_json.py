"""Answer one row or a list of rows, in JSON."""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple, TypeVar

from fastapi import Request, Response

from serving.api.body import receive
from serving.api.responses import Answer, RequestError, log_of
from serving.codecs.base import Prediction, Predictions, Row, Values
from serving.codecs.media_types import TABLES
from serving.inference.model import LoadedModel
from serving.inference.prediction import predict
from serving.settings import Settings

Content = TypeVar("Content")

Headers = list[tuple[bytes, bytes]]

AnswerIt = Callable[[bytes, LoadedModel, int], tuple[Prediction | Predictions, Content]]
"""Answers a body of at most so many rows; returns the answer, and the same in the request's protocol."""

Respond = Callable[[Content, Headers, bytes | None], Response]
"""Returns the response with an answer, its headers, and the prediction's id if it has one."""


class Form(NamedTuple):
    """The form of a route's requests and answers in JSON.

    Attributes:
        read: reads a body of at most so many rows; raises InvalidError.
        write: writes an answer.
        has_id: whether the body of an answer has the prediction's id.
    """

    read: Callable[[LoadedModel, bytes, int], Row | Values]
    write: Callable[[LoadedModel, Prediction | Predictions], bytes]
    has_id: bool


IN_THREAD_BYTES = 16 * 1024
"""Longer bodies are answered in a thread: they would block the event loop for a millisecond and more."""


async def answer_body(
    request: Request,
    model: LoadedModel,
    settings: Settings,
    answer_it: AnswerIt[Content],
    respond: Respond[Content],
) -> Response:
    """Receive a body, answer and log it.

    Raises:
        RequestError, InvalidError: the body can't be answered.
    """
    started, received = perf_counter(), bytearray()
    await receive(request, settings.max_body_bytes, received.extend, settings, settings.body_seconds)
    body = bytes(received)
    if len(body) > IN_THREAD_BYTES:
        answer, content = await asyncio.to_thread(answer_it, body, model, settings.max_rows)
    else:
        answer, content = answer_it(body, model, settings.max_rows)
    headers, prediction_id = [(b"x-model-version", model.version.encode())], None
    if (log := log_of(request)) and (prediction_id := log.record(model, answer, started)):
        headers.append((b"x-prediction-id", prediction_id))
    return respond(content, headers, prediction_id)


def ended_with(content: bytes, prediction_id: bytes) -> bytes:
    """Return an answer in JSON with the prediction's id as its last key."""
    return b"".join((content[:-1], b',"prediction_id":"', prediction_id, b'"}'))


def with_id(content: bytes, headers: Headers, prediction_id: bytes | None) -> Response:
    """Return an answer in JSON, with the prediction's id as its last key if there is one."""
    return Answer(ended_with(content, prediction_id) if prediction_id else content, headers)


def without_id(content: bytes, headers: Headers, _prediction_id: bytes | None) -> Response:
    """Return an answer in JSON as it is."""
    return Answer(content, headers)


def read_json(model: LoadedModel, body: bytes, _max_rows: int) -> Row | Values:
    """Read a row or a list of rows."""
    return model.json.read(body)


def write_json(model: LoadedModel, answer: Prediction | Predictions) -> bytes:
    """Write an answer."""
    return model.json.write(answer)


def answer_json(body: bytes, model: LoadedModel, max_rows: int) -> tuple[Prediction | Predictions, bytes]:
    """Return the answer, and the same in JSON; raise the errors of `answer_body`."""
    rows = model.json.read(body)
    if not isinstance(rows, tuple) and len(rows) > max_rows:
        raise too_many(f"the list has {len(rows)}", model, max_rows)
    answer = predict(model, rows)
    return answer, model.json.write(answer)


def too_many(found: str, model: LoadedModel, max_rows: int) -> RequestError:
    """Return the refusal of too many rows."""
    text = f"{found} {model.json.fields.noun}s, and at most {max_rows} are answered at once"
    return RequestError(413, f"{text}: send several lists, or a table ({', '.join(TABLES)})")

"""Answer small predictions in JSON directly: the tasks and messages of ASGI would take longer than all the rest.

Rows that come at the same time are predicted together, which takes little longer than one does. Nobody is kept waiting
for others: together are those that have arrived before the event loop looks for more.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from itertools import groupby, repeat
from time import perf_counter
from typing import Final, NamedTuple, Protocol

from serving.api.middleware import Middleware, request_id_of
from serving.api.predict_json import IN_THREAD_BYTES, Form, ended_with
from serving.api.responses import State
from serving.codecs.base import Prediction, Predictions, Row
from serving.codecs.errors import InvalidError
from serving.codecs.media_types import JSON
from serving.inference.model import LoadedModel
from serving.inference.prediction import predict, predict_each

MOST_AT_ONCE: Final = 64
"""Rows that are predicted together at most: a fraction of a millisecond."""

logger = logging.getLogger(__name__)

JSON_HEADER: Final = (b"content-type", JSON.encode())
"""Header of all requests that are answered here."""

_TYPE_AND_ID = b"\r\n%b: %b\r\nx-request-id: " % JSON_HEADER
_END = b"\r\n\r\n"


class Connection(Protocol):
    """The sender of a request, who waits for its answer."""

    def send(self, parts: Sequence[bytes]) -> None:
        """Send the answer: the headers of the service, an empty line, and the body; the status is 200."""

    def decline(self) -> None:
        """Have the application answer, unless the answer was sent."""


class Request(NamedTuple):
    """A request that is being answered.

    Attributes:
        started: time of its begin, on the clock of `time.perf_counter`.
    """

    connection: Connection
    path: str
    fields: dict[bytes, bytes]
    form: Form
    model: LoadedModel
    started: float


class Direct:
    """Answers whole requests for the first model that nothing speaks against.

    All others, also those that are to be refused, go through the application.
    """

    def __init__(self, middleware: Middleware, state: State) -> None:
        self._middleware, self.forms = middleware, middleware.forms
        self._models, self._log = state["models"], state["log"]
        self._max_rows = state["settings"].max_rows
        self.max_bytes = min(state["settings"].max_body_bytes, IN_THREAD_BYTES)
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Request, Row]] = []

    def ask(
        self, connection: Connection, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes, started: float
    ) -> bool:
        """Answer a request to one of `forms`, at once or soon; return False if the application has to do it.

        Args:
            headers: with `JSON_HEADER`.
            started: time of the request's begin, on the clock of `time.perf_counter`.
        """
        fields, model = dict(headers), self._models.first.model
        if (
            model is None
            or len(body) > self.max_bytes
            or len(fields) < len(headers)
            or not self._middleware.accept(fields)
        ):
            return False
        form = self.forms[path]
        request = Request(connection, path.decode(), fields, form, model, started)
        try:
            rows = form.read(model, body, self._max_rows)
            if isinstance(rows, tuple):
                self._wait(request, rows)
                return True
            if len(rows) > self._max_rows:
                return False
            answer = predict(model, rows)
        except Exception:  # noqa: BLE001 - the application says what is wrong
            return False
        self._respond(request, answer, self._log.record(model, answer, started) if self._log else None)
        return True

    def answer_all(self) -> None:
        """Answer all rows that wait."""
        waiting, self._waiting = self._waiting, []
        for _, group in groupby(waiting, key=lambda each: id(each[0].model)):  # several, just after a swap
            rows = [*group]
            try:
                self._answer_rows(rows)
            except Exception:  # a defect must not keep the others waiting
                logger.exception("direct.failed")
                for request, _ in rows:
                    request.connection.decline()

    def _wait(self, request: Request, row: Row) -> None:
        self._waiting.append((request, row))
        if len(self._waiting) == 1:
            self._loop.call_soon(self.answer_all)
        elif len(self._waiting) == MOST_AT_ONCE:
            self.answer_all()

    def _answer_rows(self, waiting: Sequence[tuple[Request, Row]]) -> None:
        """Answer rows for one version."""
        model = waiting[0][0].model
        found = [*zip((request for request, _ in waiting), _predict(model, [row for _, row in waiting]), strict=True)]
        answered = [(request, answer) for request, answer in found if answer]
        ids: Iterable[bytes | None] = repeat(None)
        if self._log:
            answers, started = [answer for _, answer in answered], [request.started for request, _ in answered]
            ids = self._log.record_rows(model, answers, started)
        for (request, answer), prediction_id in zip(answered, ids, strict=False):
            self._respond(request, answer, prediction_id)
        for request, missing in found:
            if missing is None:
                request.connection.decline()

    def _respond(self, request: Request, answer: Prediction | Predictions, prediction_id: bytes | None) -> None:
        connection, path, fields, form, model, started = request
        content = form.write(model, answer)
        parts = [b"x-model-version: ", model.version.encode()]
        if prediction_id:
            parts += b"\r\nx-prediction-id: ", prediction_id
            if form.has_id:
                content = ended_with(content, prediction_id)
        parts += b"\r\ncontent-length: ", b"%d" % len(content), _TYPE_AND_ID, request_id_of(fields), _END, content
        self._middleware.record("POST", path, 200, perf_counter() - started)
        connection.send(parts)


def _predict(model: LoadedModel, rows: Sequence[Row]) -> list[Prediction | None]:
    """Return the predictions for rows; None for one that has no answer."""
    if len(rows) > 1:
        try:
            return [*predict_each(model, rows)]
        except InvalidError:
            pass  # one of them has none
    return [_predict_one(model, row) for row in rows]


def _predict_one(model: LoadedModel, row: Row) -> Prediction | None:
    try:
        return predict(model, row)
    except Exception:  # noqa: BLE001 - the application says what is wrong
        return None

"""Answer small predictions in JSON directly: the tasks and messages of ASGI would take longer than all the rest."""

from collections.abc import Sequence
from time import perf_counter

from serving.api.middleware import Middleware, request_id_of
from serving.api.predict_json import IN_THREAD_BYTES, ended_with
from serving.api.responses import State
from serving.codecs.media_types import JSON

_JSON = JSON.encode()
_TYPE_AND_ID = b"\r\ncontent-type: %b\r\nx-request-id: " % _JSON
_END = b"\r\n\r\n"


class Direct:
    """Answers whole requests for the first model that nothing speaks against.

    All others, also those that are to be refused, go through the application.
    """

    def __init__(self, middleware: Middleware, state: State) -> None:
        self._middleware, self.forms = middleware, middleware.forms
        self._models, self._log = state["models"], state["log"]
        self._max_rows = state["settings"].max_rows
        self.max_bytes = min(state["settings"].max_body_bytes, IN_THREAD_BYTES)

    def answer(
        self, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes, started: float
    ) -> Sequence[bytes] | None:
        """Return the answer to a request to one of `forms`; None for one that has to go through the application.

        Its parts are the headers of the service, an empty line, and the body; the status is 200.

        Args:
            started: time of the request's begin, on the clock of `time.perf_counter`.
        """
        fields, model = dict(headers), self._models.first.model
        if (
            model is None
            or len(body) > self.max_bytes
            or len(fields) < len(headers)
            or fields.get(b"content-type") != _JSON
            or not self._middleware.accept(fields)
        ):
            return None
        form = self.forms[path]
        try:
            answer, content = form.answer_it(body, model, self._max_rows)
        except Exception:  # noqa: BLE001 - the application says what is wrong
            return None
        parts = [b"x-model-version: ", model.version.encode()]
        if self._log and (prediction_id := self._log.record(model, answer, started)):
            parts += b"\r\nx-prediction-id: ", prediction_id
            if form.has_id:
                content = ended_with(content, prediction_id)
        parts += b"\r\ncontent-length: ", b"%d" % len(content), _TYPE_AND_ID, request_id_of(fields), _END, content
        self._middleware.record("POST", path.decode(), 200, perf_counter() - started)
        return parts

"""`POST /feedback`, and `POST /models/{model}/feedback`: the truth about predictions."""

from io import BytesIO
from tempfile import TemporaryFile
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from serving.api.body import receive, while_connected
from serving.api.predict_docs import MODEL
from serving.api.responses import (
    NO_KEY,
    RETRY_AFTER,
    Failure,
    NotReady,
    RequestError,
    json_response,
    log_of,
    media_type_of,
    not_ready,
    settings_of,
    unavailable,
    watcher_of,
)
from serving.codecs.errors import Invalid, InvalidError
from serving.codecs.media_types import CSV, JSON, is_json
from serving.feedback.csv_body import TooManyError
from serving.feedback.receiving import Feedback
from serving.settings import Settings

EXAMPLE = "0192d1f0-5a3c-7000-9f0e-0242ac120002"
FULL_RETRY_SECONDS = 10

router = APIRouter(tags=["predictions"])


class Accepted(BaseModel):
    """The truths are in the spool, from which the shipper brings them into the database."""

    accepted: int = Field(description="Their number.", examples=[1])


class Truth(BaseModel):
    """The true class of a prediction."""

    prediction_id: str = Field(
        description="`prediction_id` of the answer; for a row of a list or table with its index, `id/index`.",
        examples=[EXAMPLE],
    )
    class_: str | int | bool = Field(alias="class", description="Name of the true class.")
    row_index: int | None = Field(default=None, description="Index of the row, if the id has none; 0 by default.", ge=0)
    at: str | None = Field(
        default=None,
        description="Time from which this is known, with its zone; by default now. The latest one holds.",
        examples=["2026-03-01T12:00:00Z"],
    )
    who: str | None = Field(default=None, description="Who says so.", max_length=200)


_ROW = Truth.model_json_schema()
BODY: dict[str, Any] = {
    "required": True,
    "content": {
        JSON: {"schema": {"anyOf": [_ROW, {"type": "array", "items": _ROW, "minItems": 1, "title": "List"}]}},
        CSV: {
            "schema": {"type": "string"},
            "example": f"prediction_id,class\n{EXAMPLE}/0,a\n",
        },
    },
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"model": Accepted, "description": "All of it was accepted."},
    400: {"model": Failure, "description": "The client went away before it had sent the whole body."},
    **NO_KEY,
    404: {"model": Failure, "description": "There is no prediction log, or no such model is served."},
    408: {"model": Failure, "description": "The client paused for too long within the body."},
    413: {"model": Failure, "description": "The body is too large, or has too many rows."},
    415: {"model": Failure, "description": "The body is declared as something else than JSON or CSV."},
    422: {"model": Invalid, "description": "A row is wrong, and nothing was accepted; `detail` names the row."},
    500: {"model": Failure, "description": "The service failed."},
    503: {
        "model": NotReady,
        "description": "There is no room in the log, or no model; `reason` and `detail` say which.",
        "headers": RETRY_AFTER,
    },
}


@router.post(
    "/models/{model}/feedback",
    summary="Feedback about a model",
    status_code=202,
    responses=RESPONSES,
    openapi_extra={"requestBody": BODY, "parameters": [MODEL]},
    name="feedback_about",
)
@router.post("/feedback", summary="Feedback", status_code=202, responses=RESPONSES, openapi_extra={"requestBody": BODY})
async def feedback(request: Request) -> Response:
    """Take the true classes of predictions, as one object, a list, or a table in CSV.

    They are all accepted or none. The same truth may be sent again; another class with a later `at` corrects it. An id
    that isn't in the log yet waits for its prediction.
    """
    settings, media_type = settings_of(request), media_type_of(request.scope)
    try:
        watcher, log = watcher_of(request), log_of(request)
        if not (media_type == CSV or is_json(media_type)):
            raise RequestError(415, f"send the truth as JSON or CSV, with the header Content-Type: {JSON} or {CSV}")
        if log is None:
            raise RequestError(404, "there is no prediction log here: SERVING_LOG_DIR sets its folder")
        if watcher.model is None:
            return not_ready(watcher, settings)
        taking = Feedback(settings, log, watcher.name, watcher.classes)
        number = await (_csv if media_type == CSV else _json)(request, taking, settings)
    except RequestError as error:
        return json_response(Failure(detail=error.detail), error.status)
    except TooManyError as error:
        return json_response(Failure(detail=str(error)), 413)
    except InvalidError as error:
        return json_response(error.invalid, 422)
    except OSError as error:
        return unavailable("log", f"the log can't be written, nothing was accepted: {error}", FULL_RETRY_SECONDS)
    return json_response(Accepted(accepted=number), 202)


async def _json(request: Request, feedback: Feedback, settings: Settings) -> int:
    body = BytesIO()
    await receive(request, settings.max_body_bytes, body.write, settings, settings.body_seconds)
    return await feedback.take_json(body.getvalue())


async def _csv(request: Request, feedback: Feedback, settings: Settings) -> int:
    with TemporaryFile() as body:
        await receive(request, settings.max_table_bytes, body.write, settings, settings.table_seconds)
        return await while_connected(request, feedback.take_csv(body))

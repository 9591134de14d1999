"""`POST /predict`."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response

from serving.api.body import receive
from serving.api.responses import (
    NO_KEY,
    RETRY_AFTER,
    Failure,
    NotReady,
    RequestError,
    json_response,
    media_type_of,
    not_ready,
    settings_of,
    watcher_of,
)
from serving.api.tables import ARROW, CSV, MEDIA_TYPES, PARQUET, predict_table
from serving.codecs.csv import COLUMNS
from serving.codecs.errors import Invalid, InvalidError
from serving.codecs.measurements import EXAMPLE, Measurements, decode
from serving.inference.contract import FEATURES
from serving.inference.model import LoadedModel
from serving.inference.prediction import Prediction, to_json
from serving.settings import Settings

IN_THREAD_BYTES = 16 * 1024
"""Longer bodies are answered in a thread: they would keep the others waiting for a millisecond and more."""

BINARY = {"schema": {"type": "string", "format": "binary"}}
CSV_REQUEST = {
    "schema": {"type": "string"},
    "example": ",".join(FEATURES) + "\n" + ",".join(map(str, EXAMPLE.values())) + "\n",
}
CSV_ANSWER = {"schema": {"type": "string"}, "example": ",".join(COLUMNS) + "\n0,Adelie,0.98,0.02,0.0,,3\n"}

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Prediction,
        "description": "The species, in the media type and the order of the request.",
        "content": {CSV: CSV_ANSWER, ARROW: BINARY, PARQUET: BINARY},
        "headers": {"X-Model-Version": {"description": "Version that answered.", "schema": {"type": "string"}}},
    },
    400: {"model": Failure, "description": "The client went away before it had sent the whole body."},
    **NO_KEY,
    408: {"model": Failure, "description": "The client paused for too long within the body."},
    413: {"model": Failure, "description": "The body is too large, or the list too long."},
    415: {"model": Failure, "description": "The body is declared as something else than JSON, CSV, Arrow or Parquet."},
    422: {"model": Invalid, "description": "The body isn't a penguin, a list or a table; `detail` says why."},
    500: {"model": Failure, "description": "The service failed."},
    503: {
        "model": NotReady,
        "description": "There is no model to serve, or too much is under way, or no disk left for the table;"
        " `reason` and `detail` say what.",
        "headers": RETRY_AFTER,
    },
}


def _request_body() -> dict[str, Any]:
    one, most = Measurements.model_json_schema(), Settings.model_fields["max_rows"].default
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": most, "title": "List of measurements"}
    penguins = {"one": {"value": EXAMPLE}, "many": {"value": [EXAMPLE, EXAMPLE | {"body_mass_g": 5000}]}}
    json = {"schema": {"anyOf": [one, many]}, "examples": penguins}
    content = {"application/json": json, CSV: CSV_REQUEST, ARROW: BINARY, PARQUET: BINARY}
    return {"required": True, "content": content}


router = APIRouter(tags=["predictions"])


@router.post(
    "/predict",
    summary="Predict",
    response_class=Response,
    responses=RESPONSES,
    openapi_extra={"requestBody": _request_body()},
)
async def predict(request: Request) -> Response:
    """Predict the species of a penguin, of a list of penguins, or of a table with a penguin in each row.

    The answer has the order of the request, and comes from one version of the model. A value outside the
    range seen in training is answered, with a warning.

    A list is read and answered at once, so its length is limited. A table in CSV, in Arrow's stream format
    or in Parquet, with the columns of a penguin, is answered with a table of the same kind in constant memory.
    """
    media_type = media_type_of(request.scope)
    try:
        if media_type in MEDIA_TYPES:
            return await predict_table(request, media_type)
        if _is_json(media_type):
            return await _predict_json(request)
        raise RequestError(415, "send the body as JSON, with the header Content-Type: application/json")
    except RequestError as error:
        return json_response(Failure(detail=error.detail), error.status)
    except InvalidError as error:
        if request.headers.get("content-encoding", "identity") != "identity":
            return json_response(Failure(detail="the body is compressed: send it as it is"), 415)
        return json_response(error.invalid, 422)


async def _predict_json(request: Request) -> Response:
    settings, body = settings_of(request), bytearray()
    await receive(request, settings.max_body_bytes, body.extend, settings.body_seconds)
    model = watcher_of(request).model
    if model is None:
        return not_ready(request)
    if len(body) > IN_THREAD_BYTES:
        content = await asyncio.to_thread(_answer, model, bytes(body), settings.max_rows)
    else:
        content = _answer(model, bytes(body), settings.max_rows)
    return Response(content, headers={"X-Model-Version": model.version}, media_type="application/json")


def _answer(model: LoadedModel, body: bytes, max_rows: int) -> bytes:
    given = decode(body)
    if not isinstance(given, tuple) and len(given) > max_rows:
        text = f"the list has {len(given)} penguins, and at most {max_rows} are answered at once"
        raise RequestError(413, f"{text}: send several lists, or a table ({', '.join(MEDIA_TYPES)})")
    return to_json(model, given)


def _is_json(media_type: str) -> bool:
    kind, _, subtype = media_type.partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))

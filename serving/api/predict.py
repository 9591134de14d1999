"""`POST /predict`, and `POST /models/{model}/predict`."""

from fastapi import APIRouter, Request, Response

from serving.api.predict_docs import MODEL, RESPONSES, request_body
from serving.api.predict_json import answer_body, answer_json, with_id
from serving.api.predict_table import predict_table
from serving.api.responses import (
    NO_MODEL,
    Failure,
    RequestError,
    json_response,
    media_type_of,
    not_ready,
    settings_of,
    watcher_of,
)
from serving.codecs.errors import InvalidError
from serving.codecs.media_types import TABLES, is_json

router = APIRouter(tags=["predictions"])


@router.post(
    "/models/{model}/predict",
    summary="Predict with a model",
    response_class=Response,
    responses=RESPONSES | NO_MODEL,
    openapi_extra={"requestBody": request_body(), "parameters": [MODEL]},
    name="predict_with",
)
@router.post(
    "/predict",
    summary="Predict",
    response_class=Response,
    responses=RESPONSES,
    openapi_extra={"requestBody": request_body()},
)
async def predict(request: Request) -> Response:
    """Predict the class of a row, of each row of a list, or of each row of a table.

    The answer has the order of the request, and comes from one version of the model. A value outside the
    range seen in training is answered, with a warning.

    A list is read and answered at once, so its length is limited. A table in CSV, in Arrow's stream format
    or in Parquet, with the columns of a row, is answered with a table of the same kind in constant memory.
    """
    settings, media_type = settings_of(request), media_type_of(request.scope)
    try:
        watcher = watcher_of(request)
        if not (media_type in TABLES or is_json(media_type)):
            raise RequestError(415, "send the body as JSON, with the header Content-Type: application/json")
        if (model := watcher.model) is None:
            return not_ready(watcher, settings)
        if media_type in TABLES:
            return await predict_table(request, media_type, model, settings)
        return await answer_body(request, model, settings, answer_json, with_id)
    except RequestError as error:
        return json_response(Failure(detail=error.detail), error.status)
    except InvalidError as error:
        if request.headers.get("content-encoding", "identity") != "identity":
            return json_response(Failure(detail="the body is compressed: send it as it is"), 415)
        return json_response(error.invalid, 422)

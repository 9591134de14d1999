"""MLflow's scoring protocol: `POST /invocations`, `GET /ping` and `GET /version`."""

from functools import lru_cache
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from serving.api.health import ready
from serving.api.predict_docs import BINARY, MODEL, TEXT
from serving.api.predict_docs import RESPONSES as PREDICTION
from serving.api.predict_json import answer_body, too_many, without_id
from serving.api.predict_table import predict_table
from serving.api.responses import (
    NO_STORE,
    NOT_READY,
    RETRY_AFTER,
    SCORING,
    RequestError,
    declared_type,
    not_ready,
    refused,
    settings_of,
    watcher_of,
)
from serving.codecs.base import Prediction, Predictions, Row, Values
from serving.codecs.errors import InvalidError
from serving.codecs.media_types import CSV, JSON, PARQUET, SCORED_CSV, SCORED_PARQUET, is_json
from serving.inference.model import LoadedModel
from serving.inference.prediction import predict

MLFLOW_VERSION = "3.17.2"
"""Version of MLflow whose protocol this is, for clients that compare versions."""

SCORED = {CSV: SCORED_CSV, PARQUET: SCORED_PARQUET}

router = APIRouter(tags=["MLflow's scoring protocol"])


class Scores(BaseModel):
    """The labels."""

    predictions: list[int] = Field(description="Label of each row: index into the classes.", examples=[[0]])


class ScoringFailure(BaseModel):
    """The reason why a request wasn't answered, as MLflow's clients read it."""

    error_code: str = Field(description="Code of MLflow.", examples=["BAD_REQUEST"])
    message: str = Field(description="The reason, for people to read.")


class ScoringNotReady(ScoringFailure):
    """The service can't answer now."""

    reason: str = Field(description="The reason, for programs to read.", examples=["no_production"])


EXAMPLE = {"dataframe_split": {"columns": ["length", "width"], "data": [[39.1, 18.7]]}}
BODY = {
    "required": True,
    "content": {
        JSON: {
            "schema": {"type": "object", "description": "Exactly one of dataframe_split, dataframe_records, instances"
                       " and inputs; other keys are ignored."},
            "example": EXAMPLE,
        },
        CSV: TEXT,
        PARQUET: BINARY,
    },
}  # fmt: skip

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": Scores, "description": "The labels.", "headers": PREDICTION[200]["headers"]},
    **{
        status: {"model": ScoringFailure, "description": PREDICTION[status]["description"]}
        for status in (400, 401, 408, 413, 415, 500)
    },
    503: {"model": ScoringNotReady, "description": PREDICTION[503]["description"], "headers": RETRY_AFTER},
}
RESPONSES[400]["description"] = "The body isn't one of the protocol's, or a value can't be used; `message` says why."


@router.post(
    f"/models/{{model}}{SCORING}",
    summary="Score with a model",
    responses=RESPONSES | {404: {"model": ScoringFailure, "description": "No such model is served."}},
    openapi_extra={"requestBody": BODY, "parameters": [MODEL]},
    name="invocations_of",
)
@router.post(SCORING, summary="Score", responses=RESPONSES, openapi_extra={"requestBody": BODY})
async def invocations(request: Request) -> Response:
    """Predict the label of each row, with the requests and the answers of `mlflow models serve`.

    The values are those of `/predict`, with the same checks; columns that the model hasn't are ignored.
    """
    settings, path = settings_of(request), request.scope["path"]
    try:
        watcher, media_type = watcher_of(request), _media_type(declared_type(request.scope))
        if (model := watcher.model) is None:
            return not_ready(watcher, settings, path)
        if scored := SCORED.get(media_type):
            return await predict_table(request, media_type, model, settings, scored)
        return await answer_body(request, model, settings, _score, without_id)
    except RequestError as error:
        return refused(path, error.status, error.detail)
    except InvalidError as error:
        if request.headers.get("content-encoding", "identity") != "identity":
            return refused(path, 415, "the body is compressed: send it as it is")
        return refused(path, 400, "; ".join(problem.msg for problem in error.invalid.detail))


def _score(body: bytes, model: LoadedModel, max_rows: int) -> tuple[Prediction | Predictions, bytes]:
    """Return the answer, and the same in the protocol; raise the errors of `answer_body`."""
    rows = model.scoring.read(body, max_rows)
    if not isinstance(rows, tuple) and len(rows) > max_rows:
        raise too_many(f"there are more than {max_rows}", model, max_rows)
    answer = predict(model, rows)
    return answer, model.scoring.write(answer)


def read_scoring(model: LoadedModel, body: bytes, max_rows: int) -> Row | Values:
    """Read a row or rows."""
    return model.scoring.read(body, max_rows)


def write_scores(model: LoadedModel, answer: Prediction | Predictions) -> bytes:
    """Write an answer."""
    return model.scoring.write(answer)


@lru_cache(maxsize=64)
def _media_type(declared: bytes) -> str:
    """Return the media type of a body from its header.

    Raises:
        RequestError: the protocol hasn't it, or not with these parameters.
    """
    media_type, *parameters = [part.strip().lower() for part in declared.decode("latin-1").split(";")]
    if not (is_json(media_type) or media_type in SCORED):
        raise RequestError(415, f"send the body as {JSON}, {CSV} or {PARQUET}, in the header Content-Type")
    for name, _, value in (parameter.partition("=") for parameter in parameters if parameter):
        if name != "charset":
            raise RequestError(415, f"the media type has the parameter {name[:60]!r}: only charset=utf-8 is known")
        if value.strip('"') not in ("utf-8", "utf8"):
            raise RequestError(415, "only UTF-8 is read: send the header Content-Type with charset=utf-8")
    return media_type


@router.get(
    "/ping",
    summary="Ping",
    response_class=Response,
    responses={200: {"description": "A line.", "content": {JSON: {}}}, **NOT_READY},
)
async def ping(request: Request) -> Response:
    """Answer 200 where `/health/ready` does, as MLflow's clients expect it."""
    answer = await ready(request)
    return _plain("\n") if answer.status_code == 200 else answer


@router.get(
    "/version",
    summary="Version of the protocol",
    response_class=Response,
    responses={200: {"description": "A version of MLflow.", "content": {JSON: {}}}},
)
async def version() -> Response:
    """Return the version of MLflow whose scoring protocol this is."""
    return _plain(MLFLOW_VERSION)


def _plain(text: str) -> Response:
    return Response(text, headers=NO_STORE, media_type=JSON)

"""The Open Inference Protocol, version 2: `/v2…`, for the clients of Triton, KServe and MLServer."""

from functools import partial

from fastapi import APIRouter, Request, Response

from serving.api import open_inference_docs as docs
from serving.api.health import ready as service_ready
from serving.api.predict_json import Headers, answer_body, too_many
from serving.api.responses import (
    OPEN_INFERENCE,
    Answer,
    RequestError,
    json_response,
    media_type_of,
    not_ready,
    refused,
    settings_of,
    watcher_of,
)
from serving.codecs.base import Prediction, Predictions
from serving.codecs.errors import InvalidError, TooManyRowsError, shown
from serving.codecs.media_types import JSON, is_json
from serving.codecs.outputs import Written
from serving.inference.model import LoadedModel
from serving.inference.prediction import predict
from serving.reload.watcher import Watcher

HEAD_BYTES = "inference-header-content-length"
"""Header with the length of the JSON before binary tensors."""

MAX_DIGITS = 12
OF_MODEL = f"{OPEN_INFERENCE}/models/{{model}}"
OF_VERSION = f"{OF_MODEL}/versions/{{version}}"
INFER = f"{OF_MODEL}/infer", f"{OF_VERSION}/infer"

router = APIRouter(tags=["Open Inference Protocol"])


@router.get(OPEN_INFERENCE, summary="The service", responses={200: {"model": docs.Metadata}})
async def metadata(request: Request) -> Response:
    """Name the service, and the extensions of the protocol that it speaks."""
    version = request.app.version
    return json_response(docs.Metadata(name="penguins", version=version, extensions=["binary_tensor_data"]))


@router.get(f"{OPEN_INFERENCE}/health/live", summary="Liveness, in the protocol", responses={200: {"model": docs.Live}})
async def live() -> Response:
    """Answer 200 as long as the process runs."""
    return json_response(docs.Live(live=True))


@router.get(
    f"{OPEN_INFERENCE}/health/ready",
    summary="Readiness, in the protocol",
    responses={200: {"model": docs.Ready}, 503: docs.NOT_READY},
)
async def ready(request: Request) -> Response:
    """Answer 200 where `/health/ready` does, else its refusal."""
    answer = await service_ready(request)
    return json_response(docs.Ready(ready=True)) if answer.status_code == 200 else answer


@router.get(
    f"{OF_VERSION}/ready",
    summary="Readiness of a version",
    responses={200: {"model": docs.ModelReady}, **docs.MODEL_RESPONSES},
    openapi_extra=docs.WITH_VERSION,
    name="version_ready",
)
@router.get(
    f"{OF_MODEL}/ready",
    summary="Readiness of a model",
    responses={200: {"model": docs.ModelReady}, **docs.MODEL_RESPONSES},
    openapi_extra=docs.WITH_MODEL,
)
async def model_ready(request: Request) -> Response:
    """Answer 200 if there is a version of the model to serve."""
    watcher, model = _model_of(request)
    if model is None:
        return not_ready(watcher, settings_of(request), request.scope["path"])
    return json_response(docs.ModelReady(name=model.name, ready=True))


@router.get(
    OF_VERSION,
    summary="A version, in the protocol",
    responses={200: {"model": docs.ModelMetadata}, **docs.MODEL_RESPONSES},
    openapi_extra=docs.WITH_VERSION,
    name="version_metadata",
)
@router.get(
    OF_MODEL,
    summary="A model, in the protocol",
    responses={200: {"model": docs.ModelMetadata}, **docs.MODEL_RESPONSES},
    openapi_extra=docs.WITH_MODEL,
)
async def model_metadata(request: Request) -> Response:
    """Return the inputs and the outputs of a model."""
    watcher, model = _model_of(request)
    if model is None:
        return not_ready(watcher, settings_of(request), request.scope["path"])
    described = {"inputs": model.open_inference.inputs, "outputs": model.open_inference.outputs.described}
    return json_response({"name": model.name, "versions": [model.version], "platform": model.engine.name} | described)


@router.post(
    INFER[1],
    summary="Infer with a version",
    responses=docs.INFER_RESPONSES,
    openapi_extra={"requestBody": docs.INFER_BODY, **docs.WITH_VERSION},
    name="infer_with_version",
)
@router.post(
    INFER[0],
    summary="Infer",
    responses=docs.INFER_RESPONSES,
    openapi_extra={"requestBody": docs.INFER_BODY, **docs.WITH_MODEL},
)
async def infer(request: Request) -> Response:
    """Predict rows whose columns are tensors, one for each feature, or one matrix if all of them are numbers.

    The values are those of `/predict`, with the same checks. Data and outputs are in JSON or in the binary extension.
    """
    settings, path = settings_of(request), request.scope["path"]
    try:
        watcher, model = _model_of(request)
        head_bytes = _head_bytes(request)
        if model is None:
            return not_ready(watcher, settings, path)
        return await answer_body(request, model, settings, partial(_infer, head_bytes), _respond)
    except RequestError as error:
        return refused(path, error.status, error.detail)
    except InvalidError as error:
        if request.headers.get("content-encoding", "identity") != "identity":
            return refused(path, 415, "the body is compressed: send it as it is")
        return refused(path, 400, "; ".join(problem.msg for problem in error.invalid.detail))


def _infer(
    head_bytes: int | None, body: bytes, model: LoadedModel, max_rows: int
) -> tuple[Prediction | Predictions, Written]:
    """Return the answer, and the same in the protocol; raise the errors of `answer_body`."""
    try:
        rows, wanted = model.open_inference.read(body, head_bytes, max_rows)
    except TooManyRowsError:
        raise too_many(f"there are more than {max_rows}", model, max_rows) from None
    answer = predict(model, rows)
    return answer, model.open_inference.outputs.write(answer, wanted)


def _respond(content: Written, headers: Headers, prediction_id: bytes | None) -> Response:
    head, tail = content
    if prediction_id:
        head = b"".join((head[:-1], b',"parameters":{"prediction_id":"', prediction_id, b'"}}'))
    if tail is None:
        return Answer(head, headers)
    headers.append((HEAD_BYTES.encode(), b"%d" % len(head)))
    return Answer(head + tail, headers, docs.OCTETS.encode())


def _model_of(request: Request) -> tuple[Watcher, LoadedModel | None]:
    """Return the watcher of the model in the path, and the version that serves.

    Raises:
        RequestError: no such model is served, or not in the version in the path.
    """
    watcher, wanted = watcher_of(request), request.scope["path_params"].get("version")
    model = watcher.model
    if model and wanted not in (None, model.version):
        text = f"version {shown(wanted)} of {model.name} isn't served here: version {model.version} is"
        raise RequestError(404, text)
    return watcher, model


def _head_bytes(request: Request) -> int | None:
    """Return the length of the JSON before binary tensors; None without them.

    Raises:
        RequestError: the header or the media type isn't one of the protocol.
    """
    media_type = media_type_of(request.scope)
    if media_type and media_type != docs.OCTETS and not is_json(media_type):
        raise RequestError(415, f"send the body as {JSON}, or with binary tensors as {docs.OCTETS}")
    text = request.headers.get(HEAD_BYTES)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise RequestError(400, f"the header Inference-Header-Content-Length is {shown(text)}: it must be a number")
    return int(text)

"""The Open Inference Protocol in the OpenAPI document: its bodies, answers and examples."""

from typing import Any

from pydantic import BaseModel, Field

from serving.api.predict_docs import BINARY, MODEL
from serving.api.predict_docs import RESPONSES as PREDICTION
from serving.api.responses import RETRY_AFTER
from serving.codecs.media_types import JSON

OCTETS = "application/octet-stream"
VERSION = {
    "name": "version",
    "in": "path",
    "required": True,
    "description": "Version of the model: the one that serves.",
    "schema": {"type": "string"},
}
WITH_MODEL = {"parameters": [MODEL]}
WITH_VERSION = {"parameters": [MODEL, VERSION]}


class Metadata(BaseModel):
    """The service."""

    name: str = Field(examples=["penguins"])
    version: str = Field(description="Version of this API.", examples=["1"])
    extensions: list[str] = Field(examples=[["binary_tensor_data"]])


class Live(BaseModel):
    """Whether the process runs."""

    live: bool


class Ready(BaseModel):
    """Whether there is a model to serve."""

    ready: bool


class ModelReady(Ready):
    """Whether there is a version of the model to serve."""

    name: str = Field(examples=["penguins_rf"])


class Tensor(BaseModel):
    """An input or an output."""

    name: str = Field(examples=["length"])
    datatype: str = Field(examples=["FP64"])
    shape: list[int] = Field(description="-1 is any number, that of the rows.", examples=[[-1]])


class ModelMetadata(BaseModel):
    """A model, its inputs and its outputs."""

    name: str = Field(examples=["penguins_rf"])
    versions: list[str] = Field(description="The version that serves.", examples=[["3"]])
    platform: str = Field(examples=["onnxruntime"])
    inputs: list[Tensor] = Field(description="A column for each feature.")
    outputs: list[Tensor] = Field(description="Labels, names of the classes, and probabilities in the classes' order.")


class Output(Tensor):
    """An output; its data may be in the binary extension instead."""

    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


class Inference(BaseModel):
    """The answer of the model."""

    model_name: str
    model_version: str
    id: str | None = Field(None, description="That of the request.")
    outputs: list[Output]
    parameters: dict[str, str] | None = Field(None, description="With a prediction log the `prediction_id`.")


class InferenceFailure(BaseModel):
    """The reason why a request wasn't answered."""

    error: str = Field(description="The reason, for people to read.")


class InferenceNotReady(InferenceFailure):
    """The service can't answer now."""

    reason: str = Field(description="The reason, for programs to read.", examples=["no_production"])


EXAMPLE = {"inputs": [{"name": "length", "datatype": "FP64", "shape": [2], "data": [39.1, 47.5]}]}
INFER_BODY = {
    "required": True,
    "content": {
        JSON: {"schema": {"type": "object", "description": "A request of the protocol."}, "example": EXAMPLE},
        OCTETS: BINARY | {"description": "JSON as long as Inference-Header-Content-Length says, then binary tensors."},
    },
}
NOT_READY = {"model": InferenceNotReady, "description": "There is no model to serve.", "headers": RETRY_AFTER}
UNKNOWN = {"model": InferenceFailure, "description": "No such model is served, or not in that version."}
NO_KEY = {"model": InferenceFailure, "description": PREDICTION[401]["description"]}

READY_RESPONSES: dict[int | str, dict[str, Any]] = {503: NOT_READY}
MODEL_RESPONSES: dict[int | str, dict[str, Any]] = {401: NO_KEY, 404: UNKNOWN, 503: NOT_READY}
INFER_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Inference,
        "description": "The outputs.",
        "content": {OCTETS: BINARY},
        "headers": PREDICTION[200]["headers"],
    },
    **{
        status: {"model": InferenceFailure, "description": PREDICTION[status]["description"]}
        for status in (400, 408, 413, 415, 500)
    },
    **MODEL_RESPONSES,
}
INFER_RESPONSES[400]["description"] = (
    "The body isn't one of the protocol's, or a value can't be used; `error` says why."
)

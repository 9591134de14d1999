"""`POST /predict` in the OpenAPI document: its body, its responses, and examples, for the model that serves."""

from typing import Any

from pydantic import BaseModel, Field, create_model

from contract.manifest import Contract
from serving.api.responses import NO_KEY, RETRY_AFTER, Failure, NotReady
from serving.codecs.base import table_columns
from serving.codecs.errors import Invalid, listed
from serving.codecs.example import example, example_csv
from serving.codecs.fields import Fields
from serving.codecs.json import MAX_WARNINGS
from serving.codecs.media_types import ARROW, CSV, JSON, PARQUET
from serving.codecs.row_model import row_model
from serving.inference.prediction import PROBABILITY_DIGITS
from serving.settings import Settings

MODEL = {
    "name": "model",
    "in": "path",
    "required": True,
    "description": "Registered model, one of GET /models.",
    "schema": {"type": "string"},
}
BINARY = {"schema": {"type": "string", "format": "binary"}}
TEXT = {"schema": {"type": "string"}}
ANY_ROW = {"type": "object", "description": "A value for each feature of the model; GET /model lists them."}

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The classes, in the media type and the order of the request.",
        "content": {JSON: {"schema": {"type": "object"}}, CSV: TEXT, ARROW: BINARY, PARQUET: BINARY},
        "headers": {
            "X-Model-Version": {"description": "Version that answered.", "schema": {"type": "string"}},
            "X-Prediction-Id": {
                "description": "Id of the request in the prediction log; only with one. Row n of it is `id/n`, from 0.",
                "schema": {"type": "string", "format": "uuid"},
            },
        },
    },
    400: {"model": Failure, "description": "The client went away before it had sent the whole body."},
    **NO_KEY,
    408: {"model": Failure, "description": "The client paused for too long within the body."},
    413: {"model": Failure, "description": "The body, its list or the answer to it is too large."},
    415: {"model": Failure, "description": "The body is declared as something else than JSON, CSV, Arrow or Parquet."},
    422: {
        "model": Invalid,
        "description": "The body isn't a row, a list or a table that can be read; `detail` says why.",
    },
    500: {"model": Failure, "description": "The service failed."},
    503: {
        "model": NotReady,
        "description": "There is no model to serve, or too many requests are under way, or no disk space is left for"
        " the table, or its process couldn't be started; `reason` and `detail` say which.",
        "headers": RETRY_AFTER,
    },
}


def request_body(row: dict[str, Any] = ANY_ROW, example: Any = None, csv: dict[str, Any] = TEXT) -> dict[str, Any]:
    """Return the body of a request: by default of any model.

    Args:
        row: JSON schema of a row.
        example: a row.
        csv: a table.
    """
    most = Settings.model_fields["max_rows"].default
    many = {"type": "array", "items": row, "minItems": 1, "maxItems": most, "title": "List of rows"}
    json: dict[str, Any] = {"schema": {"anyOf": [row, many]}}
    if example is not None:
        json["examples"] = {"one": {"value": example}, "many": {"value": [example, example]}}
    return {"required": True, "content": {JSON: json, CSV: csv, ARROW: BINARY, PARQUET: BINARY}}


def describe_model(operation: dict[str, Any], contract: Contract) -> None:
    """Describe the operation of a prediction with the fields and classes of a model."""
    fields = Fields(contract)
    sound = example(fields)
    row = row_model(fields, [sound]).model_json_schema()
    operation["requestBody"] = request_body(row, sound, TEXT | {"example": example_csv(fields)})
    header = ",".join(table_columns(contract.answer_key, contract.classes))
    answers = operation["responses"]["200"]["content"]
    answers[JSON] = {"schema": answer_model(contract).model_json_schema()}
    answers[CSV] = TEXT | {"description": f"The columns are {header}."}


def answer_model(contract: Contract) -> type[BaseModel]:
    """Return the model of an answer in JSON. Its lists but `warnings` have one element for each row, in their order."""
    classes = contract.classes
    shares = [1.0, *(0.0 for _ in classes[1:])]
    numeric = next((feature for feature in contract.features if feature.is_numeric and feature.min is not None), None)
    name = numeric.name if numeric else "length"
    fields: dict[str, Any] = {
        "prediction": (list[int], Field(description=f"Label: index into {listed(classes)}.", examples=[[0]])),
        "names": (
            list[str],
            Field(alias=contract.answer_key, description="The label's name.", examples=[[classes[0]]]),
        ),
        "probabilities": (
            list[dict[str, float]],
            Field(
                description=f"Probability of each class, to {PROBABILITY_DIGITS} digits.",
                examples=[[dict(zip(classes, shares, strict=True))]],
            ),
        ),
        "version": (
            str,
            Field(alias="model_version", description="Version of the model that answered.", examples=["3"]),
        ),
        "warnings": (
            list[str],
            Field(
                description="Reasons to doubt the answer, with the row's index where it is one of a list;"
                f" the first {MAX_WARNINGS}.",
                examples=[[f"{name}=20 is outside the range seen in training (32.1 to 59.6)"]],
            ),
        ),
        "prediction_id": (
            str,
            Field("", description="Id of the request in the prediction log; only with one."),
        ),
    }
    return create_model("Prediction", __doc__="The answer of the model.", **fields)

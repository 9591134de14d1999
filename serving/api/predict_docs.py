"""`POST /predict` in the OpenAPI document: its body, its responses, and examples."""

from typing import Any

from pydantic import BaseModel, Field

from serving.api.responses import NO_KEY, RETRY_AFTER, Failure, NotReady
from serving.codecs.base import table_columns
from serving.codecs.errors import Invalid
from serving.codecs.json import MAX_WARNINGS, row_model
from serving.codecs.media_types import ARROW, CSV, JSON, PARQUET
from serving.inference.contract import EXAMPLE, FEATURES, SPECIES
from serving.inference.prediction import PROBABILITY_DIGITS
from serving.settings import Settings


class Prediction(BaseModel):
    """The answer of the model. Each list but `warnings` has one element for each penguin, in their order."""

    prediction: list[int] = Field(description=f"Label: index into {', '.join(SPECIES)}.", examples=[[0]])
    species: list[str] = Field(description="The label's name.", examples=[["Adelie"]])
    probabilities: list[dict[str, float]] = Field(
        description=f"Probability of each species, to {PROBABILITY_DIGITS} digits.",
        examples=[[{"Adelie": 0.98, "Chinstrap": 0.02, "Gentoo": 0.0}]],
    )
    model_version: str = Field(description="Version of the model that answered.", examples=["3"])
    warnings: list[str] = Field(
        description="Reasons to doubt the answer, with the penguin's index where it is one of a list;"
        f" the first {MAX_WARNINGS}.",
        examples=[["bill_length_mm=20 mm is outside the range seen in training (32.1 to 59.6 mm)"]],
    )


Measurements = row_model(FEATURES, [EXAMPLE])

BINARY = {"schema": {"type": "string", "format": "binary"}}
CSV_REQUEST = {
    "schema": {"type": "string"},
    "example": ",".join(FEATURES) + "\n" + ",".join(map(str, EXAMPLE.values())) + "\n",
}
CSV_ANSWER = {
    "schema": {"type": "string"},
    "example": ",".join(table_columns(SPECIES)) + "\n0,Adelie,0.98,0.02,0.0,,3\n",
}

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
    413: {"model": Failure, "description": "The body, its list or the answer to it is too large."},
    415: {"model": Failure, "description": "The body is declared as something else than JSON, CSV, Arrow or Parquet."},
    422: {
        "model": Invalid,
        "description": "The body isn't a penguin, a list or a table that can be read; `detail` says why.",
    },
    500: {"model": Failure, "description": "The service failed."},
    503: {
        "model": NotReady,
        "description": "There is no model to serve, or too many requests are under way, or no disk space is left for"
        " the table, or its process couldn't be started; `reason` and `detail` say which.",
        "headers": RETRY_AFTER,
    },
}


def _request_body() -> dict[str, Any]:
    one, most = Measurements.model_json_schema(), Settings.model_fields["max_rows"].default
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": most, "title": "List of measurements"}
    penguins = {"one": {"value": EXAMPLE}, "many": {"value": [EXAMPLE, EXAMPLE | {"body_mass_g": 5000}]}}
    json = {"schema": {"anyOf": [one, many]}, "examples": penguins}
    return {"required": True, "content": {JSON: json, CSV: CSV_REQUEST, ARROW: BINARY, PARQUET: BINARY}}


REQUEST_BODY = _request_body()

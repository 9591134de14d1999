"""`POST /predict`."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect

from serving.contract import FEATURES, SPECIES
from serving.http import NOT_READY, DirectRoute, Failure, json_response, not_ready, settings_of, watcher_of
from serving.invalid import Invalid, explain
from serving.model import LoadedModel

FLOAT32_OVERFLOW = 2.0**128 - 2.0**103
"""The least float64 that is rounded to infinity in float32."""

PROBABILITY_DIGITS = 6


def _measurement(text: str) -> Any:
    return Field(description=text, gt=0, lt=FLOAT32_OVERFLOW, allow_inf_nan=False)


class Measurements(BaseModel):
    """One penguin, measured. Numbers only, greater than 0."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        json_schema_extra={"examples": [dict(zip(FEATURES, (39.1, 18.7, 181, 3750), strict=True))]},
    )

    bill_length_mm: Annotated[float, _measurement("Length of the bill, in mm.")]
    bill_depth_mm: Annotated[float, _measurement("Depth of the bill, in mm.")]
    flipper_length_mm: Annotated[float, _measurement("Length of the flipper, in mm.")]
    body_mass_g: Annotated[float, _measurement("Body mass, in g.")]


class Prediction(BaseModel):
    """The answer of the model. Each list has one element for each penguin."""

    prediction: list[int] = Field(description=f"Label: index into {', '.join(SPECIES)}.", examples=[[0]])
    species: list[str] = Field(description="The label's name.", examples=[["Adelie"]])
    probabilities: list[dict[str, float]] = Field(
        description=f"Probability of each species, to {PROBABILITY_DIGITS} digits.",
        examples=[[{"Adelie": 0.98, "Chinstrap": 0.02, "Gentoo": 0.0}]],
    )
    model_version: str = Field(description="Version of the model that answered.", examples=["3"])
    warnings: list[str] = Field(
        description="What makes the answer doubtful.",
        examples=[["bill_length_mm=20 mm is outside the range seen in training (32.1 to 59.6 mm)"]],
    )


RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": Prediction, "description": "The species."},
    400: {"model": Failure, "description": "The client went away before it had sent the whole body."},
    413: {"model": Failure, "description": "The body is too large."},
    415: {"model": Failure, "description": "The body isn't declared as JSON."},
    422: {"model": Invalid, "description": "The body isn't a penguin; `detail` says what is wrong with it."},
    **NOT_READY,
}
REQUEST = {
    "required": True,
    "content": {"application/json": {"schema": Measurements.model_json_schema()}},
}

router = APIRouter(route_class=DirectRoute, tags=["predictions"])


@router.post("/predict", summary="Predict", responses=RESPONSES, openapi_extra={"requestBody": REQUEST})
async def predict(request: Request) -> Response:
    """Predict the species of a penguin.

    A value outside the range seen in training is answered, with a warning.
    """
    if not _is_json(request.headers.get("content-type", "")):
        return _failure(415, "send the body as JSON, with the header Content-Type: application/json")
    limit = settings_of(request).max_body_bytes
    try:
        body = await _body(request, limit)
    except ClientDisconnect:
        return _failure(400, "the client went away")
    if len(body) > limit:
        return _failure(413, f"the body is larger than {limit} bytes")
    try:
        measurements = Measurements.model_validate_json(body)
    except ValidationError as error:
        return json_response(explain(error), 422)
    model = watcher_of(request).model
    return not_ready(request) if model is None else json_response(answer(model, measurements))


def answer(model: LoadedModel, penguin: Measurements) -> dict[str, Any]:
    """Return the fields of `Prediction` for one penguin.

    The row is float32, as scikit-learn makes it before it descends its trees.
    """
    values = (penguin.bill_length_mm, penguin.bill_depth_mm, penguin.flipper_length_mm, penguin.body_mass_g)
    row = np.array((values,), dtype=np.float32)
    labels, probabilities = model.engine.predict(row)
    label = int(labels[0])
    rounded = [round(probability, PROBABILITY_DIGITS) for probability in probabilities[0].tolist()]
    return {
        "prediction": [label],
        "species": [SPECIES[label]],
        "probabilities": [dict(zip(SPECIES, rounded, strict=True))],
        "model_version": model.version,
        "warnings": _warnings(model, values, row[0].tolist()),
    }


def _warnings(model: LoadedModel, given: tuple[float, ...], seen: list[float]) -> list[str]:
    outside = [index for index, (low, high) in enumerate(model.ranges) if not low <= seen[index] <= high]
    texts = []
    for index in outside:
        feature = model.contract.features[index]
        texts.append(
            f"{feature.name}={given[index]:.10g} {feature.unit} is outside the range seen in training"
            f" ({feature.min:g} to {feature.max:g} {feature.unit})"
        )
    return texts


async def _body(request: Request, limit: int) -> bytes:
    """Return the body; no more than one chunk beyond `limit`."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            break
    return body


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    kind, _, subtype = media_type.partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))


def _failure(status: int, detail: str) -> Response:
    return json_response(Failure(detail=detail), status)

"""What is measured of a penguin, and how it is read from JSON: one object, or a list of them.

A list is read into columns, without an object that the garbage collector would have to look at for each
penguin. What that doesn't accept is read once more by pydantic, penguin by penguin up to the first wrong one, which
says what is wrong with it: to explain everything in a large body could take all the memory there is.
"""

from operator import attrgetter
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from serving.codecs.errors import InvalidError, explain, problem
from serving.inference.contract import FEATURES

Validated = TypeVar("Validated")

Penguin = tuple[float, float, float, float]
"""One penguin's measurements, in the order of `FEATURES`."""

Values = NDArray[np.float64]
"""Measurements [n, 4], columns as in `FEATURES`."""

MAX_PENGUIN_BYTES = 16 * 1024
"""A longer object isn't explained any further."""

FLOAT32_OVERFLOW = 2.0**128 - 2.0**103
"""The least float64 that is rounded to infinity in float32."""

EXAMPLE: dict[str, Any] = dict(zip(FEATURES, (39.1, 18.7, 181, 3750), strict=True))


def _measurement(text: str) -> Any:
    return Field(description=text, gt=0, lt=FLOAT32_OVERFLOW, allow_inf_nan=False)


class Measurements(BaseModel):
    """One penguin, measured. Numbers only, greater than 0."""

    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    bill_length_mm: Annotated[float, _measurement("Length of the bill, in mm.")]
    bill_depth_mm: Annotated[float, _measurement("Depth of the bill, in mm.")]
    flipper_length_mm: Annotated[float, _measurement("Length of the flipper, in mm.")]
    body_mass_g: Annotated[float, _measurement("Body mass, in g.")]


_Row = msgspec.defstruct("_Row", [(name, float) for name in FEATURES], forbid_unknown_fields=True, gc=False)
_ONE_OR_MANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Row | list[_Row])  # type: ignore[valid-type]
_ONE = TypeAdapter(Measurements)
_MANY = TypeAdapter(Annotated[list[Measurements], Field(min_length=1, fail_fast=True)])
_APART = msgspec.json.Decoder(list[msgspec.Raw])
_fields = attrgetter(*FEATURES)
_columns = [attrgetter(name) for name in FEATURES]


def decode(body: bytes) -> Penguin | Values:
    """Read JSON: one penguin, or a list of them.

    Raises:
        InvalidError: the body is no penguin and no list of penguins.
    """
    try:
        found = _ONE_OR_MANY.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode_or_explain(body)
    if not isinstance(found, list):
        penguin: Penguin = _fields(found)
        is_usable = min(penguin) > 0 and max(penguin) < FLOAT32_OVERFLOW  # JSON has no NaN
        return penguin if is_usable else _decode_or_explain(body)
    # Column by column: a tuple for each penguin would be work for the garbage collector.
    values = np.stack([np.fromiter(map(get, found), np.float64, len(found)) for get in _columns], axis=1)
    return values if len(values) and usable(values).all() else _decode_or_explain(body)


def usable(values: Values) -> NDArray[np.bool_]:
    """Tell of each value whether the model may see it: greater than 0 and finite in float32."""
    return (values > 0) & (values < FLOAT32_OVERFLOW)


def _decode_or_explain(body: bytes) -> Penguin | Values:
    if body.lstrip()[:1] != b"[":
        return _one_or_explain(body)
    try:
        penguins = _APART.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        penguins = []
    if not penguins:
        read: list[Measurements] = _validated(_MANY, body)
        return np.array([*map(_fields, read)], dtype=np.float64)
    return np.array([_one_or_explain(bytes(one), index) for index, one in enumerate(penguins)], dtype=np.float64)


def _one_or_explain(body: bytes, *place: int) -> Penguin:
    if len(body) > MAX_PENGUIN_BYTES:
        text = f"{len(body)} bytes are too many for one penguin, which has four numbers"
        raise InvalidError(problem("too_long", f"[{place[0]}]: {text}" if place else text, *place))
    penguin: Penguin = _fields(_validated(_ONE, body, *place))
    return penguin


def _validated(adapter: TypeAdapter[Validated], body: bytes, *place: int) -> Validated:
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise InvalidError(explain(error, *place)) from error

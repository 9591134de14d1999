"""Sentences about the errors in a request: the field, its value, and the allowed values."""

from typing import Any

import numpy as np
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from serving.codecs.base import FLOAT32_OVERFLOW, Values
from serving.codecs.errors import MAX_PROBLEMS, Invalid, Problem, listed, shown
from serving.codecs.fields import Field, Fields

CATEGORY = "category"
"""Kind of problem: a value is none of the field's categories."""

WHOLE = "int_from_float"
"""Kind of problem: a number isn't whole."""

WRONG = {
    "float_type": "isn't a number",
    "finite_number": "isn't finite",
    "greater_than": "is too small",
    "greater_than_equal": "is too small",
    "less_than": "is too large",
    "less_than_equal": "is too large",
    WHOLE: "isn't a whole number",
    CATEGORY: "isn't a known value",
}
"""Kind of problem → its description."""


def explain(error: ValidationError, fields: Fields, *place: int) -> Invalid:
    """Turn pydantic's errors in a JSON body, or in the row at a place in its list, into sentences."""
    found = error.errors(include_url=False)[:MAX_PROBLEMS]
    places = [[*place, *each["loc"]] for each in found]
    return Invalid(
        detail=[
            Problem(loc=["body", *where], msg=_sentence(each, where, fields), type=each["type"])
            for each, where in zip(found, places, strict=True)
        ]
    )


def explain_values(values: Values, first: int, fields: Fields) -> Invalid:
    """Describe the numbers of a table that the model doesn't accept.

    Args:
        values: encoded rows [n, features].
        first: number of rows before these.
    """
    problems = []
    for row, column in np.argwhere(~fields.usable(values))[:MAX_PROBLEMS]:
        value, field, index = float(values[row, column]), fields.all[column], first + int(row)
        kind = _kind(value, field)
        text = f"[{index}]: {wrong_value(field, value, kind)}"
        problems.append(Problem(loc=["body", index, field.name], msg=text, type=kind))
    return Invalid(detail=problems)


def wrong_value(field: Field, value: Any, kind: str) -> str:
    """Return the sentence about a field's value; `kind` is one of `WRONG`."""
    text = WRONG.get(kind, "is wrong")
    if kind == "less_than" and value >= FLOAT32_OVERFLOW:
        text += " for float32"
    if kind == CATEGORY and (nearest := field.nearest(value)) is not None:
        text += f", {shown(nearest)} is"
    return f"{field.name}={shown(value)} {text}: {field.allowed}"


def _kind(value: float, field: Field) -> str:
    if not np.isfinite(value):
        return "finite_number"
    if value > field.high:
        return "less_than"
    return "greater_than" if value < field.low else WHOLE


def _sentence(error: ErrorDetails, place: list[int | str], fields: Fields) -> str:
    kind, value, place = error["type"], error["input"], list(place)
    if kind == "json_invalid":
        return f"the body isn't JSON: {error['ctx']['error']}" if value else f"the body is empty: {_expected(fields)}"
    if kind == "too_short":
        return f"the list is empty: {_expected(fields)}"
    row = f"[{place.pop(0)}]" if place and isinstance(place[0], int) else ""
    if kind == "model_type":
        return f"{row or 'the body'} is {shown(value)}: {_expected(fields)}"
    sentence = _field_sentence(str(place[0]), kind, value, fields)
    return f"{row}: {sentence}" if row else sentence


def _field_sentence(name: str, kind: str, value: Any, fields: Fields) -> str:
    if kind == "extra_forbidden":
        return f"{shown(name)} isn't a known field: allowed are {listed(fields.names)}"
    field = fields.by_name[name]
    return f"{name} is missing: {field.allowed}" if kind == "missing" else wrong_value(field, value, kind)


def _expected(fields: Fields) -> str:
    return f"send one JSON object with {listed(fields.names)}, or a list of such objects"

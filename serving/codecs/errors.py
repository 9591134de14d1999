"""Errors in the body of a request: the field, its value, and the allowed values."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

MAX_PROBLEMS = 20
MAX_VALUE_LENGTH = 60

WRONG = {
    "float_type": "isn't a number",
    "finite_number": "isn't finite",
    "greater_than": "is too small",
    "less_than": "is too large for float32",
}
"""Kind of problem → its description."""

Units = Mapping[str, str]
"""Name of each feature → its unit, in the order of the model's columns."""


class Problem(BaseModel):
    """One error in a request."""

    loc: list[str | int] = Field(description="Place: `body`, then the penguin's index in a list, and the field.")
    msg: str = Field(description="The field, its value, and the allowed values.")
    type: str = Field(description="Kind of problem, for programs to read.")


class Invalid(BaseModel):
    """The errors in a request."""

    detail: list[Problem] = Field(description=f"Errors in the first wrong penguin; at most {MAX_PROBLEMS}.")


class InvalidError(Exception):
    """The body of a request is wrong, and its sender must change it."""

    def __init__(self, invalid: Invalid) -> None:
        super().__init__(invalid.detail[0].msg)
        self.invalid = invalid


def explain(error: ValidationError, units: Units, *place: int) -> Invalid:
    """Turn pydantic's errors in a JSON body, or in the penguin at a place in its list, into sentences."""
    found = error.errors(include_url=False)[:MAX_PROBLEMS]
    places = [[*place, *each["loc"]] for each in found]
    return Invalid(
        detail=[
            Problem(loc=["body", *where], msg=_sentence(each, where, units), type=each["type"])
            for each, where in zip(found, places, strict=True)
        ]
    )


def problem(kind: str, message: str, *place: str | int) -> Invalid:
    """Return a single problem."""
    return Invalid(detail=[Problem(loc=["body", *place], msg=message, type=kind)])


def wrong_value(field: str, value: Any, kind: str, units: Units) -> str:
    """Return the sentence about a field's value; `kind` is one of `WRONG`."""
    return f"{field}={shown(value)} {WRONG.get(kind, 'is wrong')}: {_allowed(field, units)}"


def listed(names: Iterable[str]) -> str:
    """Join the names as in a sentence."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def shown(value: Any) -> str:
    """Return a value as JSON, shortened if it is long."""
    text = json.dumps(value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}…"


def _allowed(field: str, units: Units) -> str:
    return f"allowed is a JSON number greater than 0 and less than 3.4e38, in {units[field]}"


def _sentence(error: ErrorDetails, place: list[int | str], units: Units) -> str:
    kind, value, place = error["type"], error["input"], list(place)
    if kind == "json_invalid":
        return f"the body isn't JSON: {error['ctx']['error']}" if value else f"the body is empty: {_expected(units)}"
    if kind == "too_short":
        return f"the list is empty: {_expected(units)}"
    penguin = f"[{place.pop(0)}]" if place and isinstance(place[0], int) else ""
    if kind == "model_type":
        return f"{penguin or 'the body'} is {shown(value)}: {_expected(units)}"
    sentence = _field_sentence(str(place[0]), kind, value, units)
    return f"{penguin}: {sentence}" if penguin else sentence


def _field_sentence(field: str, kind: str, value: Any, units: Units) -> str:
    if kind == "missing":
        return f"{field} is missing: {_allowed(field, units)}"
    if kind == "extra_forbidden":
        return f"{shown(field)} isn't a known field: allowed are {listed(units)}"
    return wrong_value(field, value, kind, units)


def _expected(units: Units) -> str:
    return f"send one JSON object with {listed(units)}, or a list of such objects"

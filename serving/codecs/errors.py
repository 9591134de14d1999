"""Says what is wrong with a request: the field, its value, and what is allowed instead."""

import json
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from serving.inference.contract import FEATURES

MAX_PROBLEMS = 20
MAX_VALUE_LENGTH = 60

WRONG = {
    "float_type": "isn't a number",
    "finite_number": "isn't finite",
    "greater_than": "is too small",
    "less_than": "is too large for float32",
}
"""Kind of problem → what is wrong with the value."""


class Problem(BaseModel):
    """One thing that is wrong with a request."""

    loc: list[str | int] = Field(description="Where it is: `body`, then the penguin's index in a list, and the field.")
    msg: str = Field(description="The field, its value, and what is allowed.")
    type: str = Field(description="What kind of problem it is, for programs to read.")


class Invalid(BaseModel):
    """What is wrong with a request."""

    detail: list[Problem] = Field(description=f"What is wrong with the first wrong penguin; at most {MAX_PROBLEMS}.")


class InvalidError(Exception):
    """A request can't be answered, and its sender must change it."""

    def __init__(self, invalid: Invalid) -> None:
        super().__init__(invalid.detail[0].msg)
        self.invalid = invalid


def explain(error: ValidationError, *place: int) -> Invalid:
    """Turn pydantic's findings about a JSON body, or about the penguin at a place in its list, into sentences."""
    found = error.errors(include_url=False)[:MAX_PROBLEMS]
    places = [[*place, *each["loc"]] for each in found]
    return Invalid(
        detail=[
            Problem(loc=["body", *where], msg=_sentence(each, where), type=each["type"])
            for each, where in zip(found, places, strict=True)
        ]
    )


def problem(kind: str, message: str, *place: str | int) -> Invalid:
    """Return a single problem."""
    return Invalid(detail=[Problem(loc=["body", *place], msg=message, type=kind)])


def wrong_value(field: str, value: Any, kind: str) -> str:
    """Return the sentence about a field's value; `kind` is one of `WRONG`."""
    return f"{field}={shown(value)} {WRONG.get(kind, 'is wrong')}: {allowed(field)}"


def allowed(field: str) -> str:
    """Return what a field may be."""
    return f"allowed is a JSON number greater than 0 and less than 3.4e38, in {FEATURES[field]}"


def listed(names: Iterable[str]) -> str:
    """Return the names as a sentence has them."""
    *first, last = names
    return f"{', '.join(first)} and {last}"


def shown(value: Any) -> str:
    """Return a value as JSON, not too long."""
    text = json.dumps(value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}…"


def _sentence(error: ErrorDetails, place: list[int | str]) -> str:
    kind, value, place = error["type"], error["input"], list(place)
    if kind == "json_invalid":
        return f"the body isn't JSON: {error['ctx']['error']}" if value else f"the body is empty: {_wanted()}"
    if kind == "too_short":
        return f"the list is empty: {_wanted()}"
    penguin = f"[{place.pop(0)}]" if place and isinstance(place[0], int) else ""
    if kind == "model_type":
        return f"{penguin or 'the body'} is {shown(value)}: {_wanted()}"
    field = str(place[0])
    return f"{penguin}: {_about(field, kind, value)}" if penguin else _about(field, kind, value)


def _about(field: str, kind: str, value: Any) -> str:
    if kind == "missing":
        return f"{field} is missing: {allowed(field)}"
    if kind == "extra_forbidden":
        return f"{shown(field)} isn't a known field: allowed are {listed(FEATURES)}"
    return wrong_value(field, value, kind)


def _wanted() -> str:
    return f"send one JSON object with {listed(FEATURES)}, or a list of such objects"

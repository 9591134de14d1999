"""Says what is wrong with a request: the field, its value, and what is allowed instead."""

import json
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from serving.contract import FEATURES

MAX_PROBLEMS = 20
MAX_VALUE_LENGTH = 60


class Problem(BaseModel):
    """One thing that is wrong with a request."""

    loc: list[str | int] = Field(description="Where it is: `body`, then the field.")
    msg: str = Field(description="The field, its value, and what is allowed.")
    type: str = Field(description="What kind of problem it is, for programs to read.")


class Invalid(BaseModel):
    """Everything that is wrong with a request."""

    detail: list[Problem]


def explain(error: ValidationError) -> Invalid:
    """Turn pydantic's findings about a request into sentences, at most `MAX_PROBLEMS` of them."""
    found = error.errors(include_url=False)[:MAX_PROBLEMS]
    return Invalid(
        detail=[Problem(loc=["body", *each["loc"]], msg=_sentence(each), type=each["type"]) for each in found]
    )


def _sentence(error: ErrorDetails) -> str:
    kind, value = error["type"], error["input"]
    if kind == "json_invalid":
        return f"the body isn't JSON: {error['ctx']['error']}" if value else f"the body is empty: {_wanted()}"
    if kind == "model_type":
        return f"the body is {_shown(value)}: {_wanted()}"
    field = str(error["loc"][0])
    if kind == "missing":
        return f"{field} is missing: {_allowed(field)}"
    if kind == "extra_forbidden":
        return f"{_shown(field)} isn't a known field: allowed are {_listed(FEATURES)}"
    wrong = {
        "float_type": "isn't a number",
        "finite_number": "isn't finite",
        "greater_than": "is too small",
        "less_than": "is too large for float32",
    }
    return f"{field}={_shown(value)} {wrong.get(kind, 'is wrong')}: {_allowed(field)}"


def _allowed(field: str) -> str:
    return f"allowed is a JSON number greater than 0 and less than 3.4e38, in {FEATURES[field]}"


def _wanted() -> str:
    return f"send one JSON object with {_listed(FEATURES)}"


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}"


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}…"

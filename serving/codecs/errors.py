"""Errors in the body of a request."""

import json
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, Field

MAX_PROBLEMS = 20
MAX_VALUE_LENGTH = 60
MAX_LISTED = 20


class Problem(BaseModel):
    """One error in a request."""

    loc: list[str | int] = Field(description="Place: `body`, then the row's index in a list, and the field.")
    msg: str = Field(description="The field, its value, and the allowed values.")
    type: str = Field(description="Kind of problem, for programs to read.")


class Invalid(BaseModel):
    """The errors in a request."""

    detail: list[Problem] = Field(description=f"Errors in the first wrong row; at most {MAX_PROBLEMS}.")


class InvalidError(Exception):
    """The body of a request is wrong, and its sender must change it."""

    def __init__(self, invalid: Invalid) -> None:
        super().__init__(invalid.detail[0].msg)
        self.invalid = invalid


class TooManyRowsError(Exception):
    """A request has more rows than it may have."""


def problem(kind: str, message: str, *place: str | int) -> Invalid:
    """Return a single problem."""
    return Invalid(detail=[Problem(loc=["body", *place], msg=message, type=kind)])


def listed(names: Collection[str]) -> str:
    """Join the names as in a sentence; of many, the first ones."""
    if len(names) > MAX_LISTED:
        return f"{', '.join([*names][:MAX_LISTED])} and {len(names) - MAX_LISTED} more"
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def shown(value: Any) -> str:
    """Return a value as JSON, shortened if it is long."""
    try:
        text = json.dumps(value)
    except RecursionError:  # it is less deep than what a reader takes, and this call is deeper
        return "too many brackets within brackets"
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}…"

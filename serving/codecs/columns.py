"""Columns of plain values, as protocols bring them beside rows, and the numbers that a model sees in their place."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np

from serving.codecs.base import Row, Values
from serving.codecs.errors import InvalidError, listed, problem, shown
from serving.codecs.explain import CATEGORY, explain_values, wrong_value
from serving.codecs.fields import Field, Fields, UnknownError

SHOWN: Final = 20

NOT_A_NUMBER: Final = "float_type"


def encode(fields: Fields, columns: Mapping[str, Sequence[Any]], number: int) -> Row | Values:
    """Return the numbers of columns with a number of values each: a single row, or rows [n, features].

    Columns that the model hasn't are ignored.

    Raises:
        InvalidError: a required column or all rows are missing, or the model doesn't accept a value.
    """
    if missing := [field.name for field in fields.all if field.name not in columns and not field.is_optional]:
        some = ", ".join(map(shown, islice(columns, SHOWN)))
        found = f"the columns are {some}{', …' if len(columns) > SHOWN else ''}" if columns else "there are no columns"
        text = f"{listed(missing)} {'is' if len(missing) == 1 else 'are'} missing: {found}"
        raise InvalidError(problem("missing", f"{text}, needed are {listed(fields.names)}", missing[0]))
    if not number:
        raise InvalidError(problem("too_short", f"there are no rows: send one {fields.noun} or more"))
    if number == 1:
        row = encode_row(fields, {name: values[0] for name, values in columns.items() if values}, 0)
        if fields.accept(row):
            return row
    return checked(fields, np.stack([_numbers(field, columns, number) for field in fields.all], axis=1))


def encode_row(fields: Fields, values: Mapping[str, Any], index: int) -> Row:
    """Return the numbers of the row at an index. Fields that the model hasn't are ignored.

    Raises:
        InvalidError: a value is missing or none of its field's.
    """
    found = []
    for field in fields.all:
        if field.name in values:
            found.append(encode_value(field, values[field.name], index))
        elif field.is_optional:
            found.append(field.missing)
        else:
            raise InvalidError(problem("missing", f"[{index}]: {field.name} is missing: {field.allowed}", field.name))
    return tuple(found)


def checked(fields: Fields, values: Values) -> Values:
    """Return rows [n, features] all of which the model accepts.

    Raises:
        InvalidError: it doesn't accept one.
    """
    if not fields.usable(values).all():
        raise InvalidError(explain_values(values, 0, fields))
    return values


def encode_value(field: Field, value: Any, index: int) -> float:
    """Return the number of a value in the row at an index.

    Raises:
        InvalidError: it is none of the field's.
    """
    if not field.is_numeric:
        try:
            return field.code(value)
        except UnknownError:
            kind = CATEGORY
    elif type(value) in (int, float):
        return as_float(value)
    elif value is None and field.is_optional:
        return field.missing
    else:
        kind = NOT_A_NUMBER
    raise InvalidError(problem(kind, f"[{index}]: {wrong_value(field, value, kind)}", index, field.name))


def as_float(value: float) -> float:
    """Return a number as a float; an infinite one if it is too large."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else -float("inf")


def _numbers(field: Field, columns: Mapping[str, Sequence[Any]], number: int) -> Values:
    if (values := columns.get(field.name)) is None:
        return np.full(number, field.missing)
    return np.fromiter((encode_value(field, value, index) for index, value in enumerate(values)), np.float64, number)

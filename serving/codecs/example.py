"""A row that a model accepts, for documentation and to try the model with."""

import csv
from io import StringIO
from typing import Any

from serving.codecs.base import Row
from serving.codecs.fields import Field, Fields

SIGNIFICANT_DIGITS = 3


def example(fields: Fields) -> dict[str, Any]:
    """Return a value for each field: an example of the contract's, or one from the middle of those seen in training."""
    return {field.name: _value(field) for field in fields.all}


def encoded(fields: Fields, values: dict[str, Any]) -> Row:
    """Return the numbers that the model sees for a row of valid values."""
    return tuple([_number(field, values[field.name]) for field in fields.all])


def example_csv(fields: Fields) -> str:
    """Return the example as a table in CSV."""
    text, values = StringIO(), example(fields)
    csv.writer(text, lineterminator="\n").writerows([values, map(_text, values.values())])
    return text.getvalue()


def _value(field: Field) -> Any:
    for value in field.feature.examples:
        if _is_allowed(field, value):
            return value
    if not field.is_numeric:
        return next(iter(field.codes))
    low, high = field.feature.seen if field.feature.min is not None else (field.low, field.high)
    middle = low / 2 + high / 2
    digits = field.feature.decimals
    rounded = float(f"{middle:.{SIGNIFICANT_DIGITS}g}") if digits is None else round(middle, digits)
    candidates = [round(middle) if field.is_whole else rounded, middle, low, high, 1]
    return next(value for value in candidates if _is_allowed(field, value))


def _is_allowed(field: Field, value: Any) -> bool:
    if not field.is_numeric:
        return type(value) in (str, int, bool) and value in field.codes
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and field.low <= value <= field.high and not (field.is_whole and value % 1)


def _number(field: Field, value: Any) -> float:
    return float(value) if field.is_numeric else field.code(value)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

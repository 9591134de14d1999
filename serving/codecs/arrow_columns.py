"""Columns of Arrow and Parquet as the numbers that a model sees. Importing this module imports pyarrow."""

from typing import Any

import numpy as np
import pyarrow as pa

from serving.codecs.base import Values
from serving.codecs.errors import InvalidError, problem
from serving.codecs.explain import CATEGORY, wrong_value
from serving.codecs.fields import Field, UnknownError


def check_type(field: Field, found: Any) -> None:
    """Refuse a column of a type that the field can't have.

    Raises:
        InvalidError: the type is another one.
    """
    if pa.types.is_null(found) and field.is_optional:
        return
    needed, is_allowed = _needed(field, found.value_type if pa.types.is_dictionary(found) else found)
    if not is_allowed or (pa.types.is_dictionary(found) and not is_text(field)):
        kind, form = ("float_type", ", as integers or floats") if field.is_numeric else (CATEGORY, "")
        raise InvalidError(problem(kind, f"{field.name} is {found}: {needed} are required{form}", field.name))


def is_text(field: Field) -> bool:
    """Return whether the values are texts, which may come in a dictionary."""
    return any(isinstance(value, str) for value in field.codes)


def numbers(field: Field, column: Any, first: int) -> Values:
    """Return the numbers [n] of a column.

    Args:
        first: number of rows before these.

    Raises:
        InvalidError: a value is none of the field's.
    """
    if field.is_numeric:
        found: Values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return found
    # A text that is repeated in each row is read once, however long it is.
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    known = [*encoded.dictionary.to_pylist(), None]
    codes = np.array([_code(field, value) for value in known])  # some may be in no row
    indices = encoded.indices.cast(pa.int64()).fill_null(len(known) - 1).to_numpy(zero_copy_only=False)
    values: Values = codes[indices]
    if (wrong := np.flatnonzero(np.isnan(values))).size:
        index = int(wrong[0])
        text = f"[{first + index}]: {wrong_value(field, known[indices[index]], CATEGORY)}"
        raise InvalidError(problem(CATEGORY, text, first + index, field.name))
    return values


def _needed(field: Field, found: Any) -> tuple[str, bool]:
    """Return what the field needs, and whether a type is that."""
    is_number = pa.types.is_integer(found) or pa.types.is_floating(found)
    if field.is_numeric:
        # Not decimals: a cast of one whose scale is damaged reads memory that isn't its own.
        return "numbers", is_number
    if field.feature.type == "boolean":
        return "booleans", pa.types.is_boolean(found)
    if is_text(field):
        return "texts", pa.types.is_string(found) or pa.types.is_large_string(found)
    return "whole numbers", is_number


def _code(field: Field, value: Any) -> float:
    """Return the number of a value; NaN if it is none of the field's."""
    try:
        return field.missing if field.is_optional and value != value else field.code(value)
    except UnknownError:
        return float("nan")

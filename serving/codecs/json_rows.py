"""Rows in JSON as msgspec reads them: valid ones, without an object for each that the garbage collector visits."""

from collections.abc import Callable, Iterator
from functools import partial
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from serving.codecs.base import Row, Values
from serving.codecs.fields import Field, Fields
from serving.codecs.row_model import positions

MAX_ROW_BYTES = 16 * 1024
"""A longer object isn't explained any further; one with many fields may have more."""

FIELD_BYTES = 256

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""Errors of msgspec at a body that isn't what it was told to read."""


class JsonRows:
    """Reader of rows, for one model version."""

    def __init__(self, fields: Fields, refuse_unknown: bool = True) -> None:
        """Make the reader.

        Args:
            refuse_unknown: whether fields that the model hasn't are an error; else they are ignored.
        """
        names = positions(fields)
        self._fields = fields
        self._columns = [attrgetter(name) for name in names]
        self._values: Callable[[Any], Row] = attrgetter(*names) if len(names) > 1 else partial(_only, names[0])
        self.decode = _decoder(fields, refuse_unknown)
        """Reads a body with one row, or with a list of rows; raises `UNREADABLE`."""
        self.row: Callable[[Any], Row] = self._values if fields.are_numbers else self._row
        """Returns the numbers of a row that `decode` has read; raises `UnknownError`."""

    def table(self, found: list[Any]) -> Values:
        """Return the numbers [n, features] of rows that `decode` has read, column by column.

        Raises:
            UnknownError: a value is none of a field's.
        """
        fields = zip(self._fields.all, self._columns, strict=True)
        return np.stack([_column(field, get, found) for field, get in fields], axis=1)

    def validated(self, found: Any) -> Row:
        """Return the numbers of a row that pydantic has read, codes in it already."""
        fields = zip(self._fields.all, self._values(found), strict=True)
        return tuple([field.missing if value is None else value for field, value in fields])

    def _row(self, found: Any) -> Row:
        fields = zip(self._fields.all, self._values(found), strict=True)
        return tuple([_number(field, value) if field.is_numeric else field.code(value) for field, value in fields])


def _decoder(fields: Fields, refuse_unknown: bool) -> Callable[[bytes | msgspec.Raw], Any]:
    names = dict(zip(positions(fields), fields.names, strict=True))
    kinds = [
        (position, *((kind | None, None) if field.is_optional else (kind,)))
        for position, field, kind in zip(names, fields.all, map(_kind, fields.all), strict=True)
    ]
    try:
        row = msgspec.defstruct(
            "Row", kinds, rename=names, forbid_unknown_fields=refuse_unknown, kw_only=True, gc=False
        )
    except ValueError:  # msgspec can't look for names with quotes or backslashes
        return _refuse
    return msgspec.json.Decoder(row | list[row]).decode  # type: ignore[valid-type]


def _refuse(_body: bytes | msgspec.Raw) -> Any:
    raise msgspec.DecodeError


def _kind(field: Field) -> Any:
    if field.is_numeric:
        return float
    kinds = {type(value) for value in field.codes}
    return kinds.pop() if len(kinds) == 1 else str


def _only(name: str, found: Any) -> Row:
    return (getattr(found, name),)


def _number(field: Field, value: float | None) -> float:
    return field.missing if value is None else value


def _column(field: Field, get: Callable[[Any], Any], rows: list[Any]) -> Values:
    """Return the numbers [n] of a field in rows that msgspec has read."""
    values: Iterator[Any] = map(get, rows)
    if field.is_numeric:
        numbers = (field.missing if value is None else value for value in values) if field.is_optional else values
        return np.fromiter(numbers, np.float64, len(rows))
    return np.fromiter(map(field.code, values), np.float64, len(rows))

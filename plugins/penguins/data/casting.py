"""Read values of every format as those of a type: numbers, whole numbers, true or false, times and text."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract.schema import Reading
from penguins.errors import UserError

TIMESTAMP: Final = pa.timestamp("us", tz="UTC")

TRUE: Final = ("true", "t", "yes", "y", "1", "1.0")
FALSE: Final = ("false", "f", "no", "n", "0", "0.0")
"""Texts that mean true and false; their case doesn't count."""

_NUMBER: Final = r"(?i)^[-+]?((\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?|inf(inity)?|nan)$"
_WHOLE: Final = r"^-?\d{1,18}$"  # always fits int64
_LARGEST_EXACT: Final = 2**53  # float64 has all whole numbers up to it
_NUMBERS: Final = (pa.float64(), pa.int32(), pa.int64())
_NOUNS: Final = {
    pa.float64(): "a number",
    pa.int32(): "a whole number",
    pa.int64(): "a whole number",
    pa.bool_(): "true or false",
    pa.date32(): "a date such as 2026-01-31",
    TIMESTAMP: "a time such as 2026-01-31T12:00:00Z",
}
_GROUPED: Final = re.compile(r"[-+]?\d{1,3}([,.'\s]\d{3})+([.,]\d+)?")
_OTHER_MARK: Final = {".": re.compile(r"[-+]?\d*,\d+"), ",": re.compile(r"[-+]?\d*\.\d+")}


def normalise(name: str, column: pa.Array, reading: Reading) -> pa.Array:
    """Convert a column to trimmed text, float64, int64, booleans or times; a spelling of a missing value becomes null.

    Raises:
        UserError: the column holds anything else.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(column.indices, normalise(name, column.dictionary, reading))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        return pc.if_else(pc.is_in(text, pa.array(reading.null_values, pa.string())), None, text)
    if pa.types.is_null(kind):
        return pa.nulls(len(column), pa.string())
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return column.cast(pa.int64())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        number = column.cast(pa.float64(), safe=False)
        return pc.if_else(pc.is_nan(number), None, number)
    if pa.types.is_boolean(kind) or pa.types.is_date32(kind):
        return column
    if pa.types.is_date64(kind):
        return column.cast(pa.date32())
    if pa.types.is_timestamp(kind):
        return (
            column.cast(TIMESTAMP, safe=False)
            if kind.tz
            else column.cast(pa.timestamp("us"), safe=False).cast(TIMESTAMP)
        )
    raise UserError(f"column {name!r} is of type {column.type}: it must hold numbers or text")


def cast(column: pa.Array, kind: pa.DataType, decimal_mark: str = ".") -> tuple[pa.Array, np.ndarray]:
    """Cast a normalised column to `kind`, null where that fails, and return the positions of the failures."""
    if pa.types.is_dictionary(column.type):
        values = _READERS[kind](column.dictionary, kind, decimal_mark).take(column.indices)
    else:
        values = _READERS[kind](column, kind, decimal_mark)
    wrong = pc.and_(column.is_valid(), values.is_null())
    if pa.types.is_dictionary(column.type) and column.dictionary.null_count:  # null by its value, not by its index
        wrong = pc.and_(wrong, column.dictionary.is_valid().take(column.indices))
    return values, np.flatnonzero(wrong.fill_null(False).to_numpy(zero_copy_only=False))


def describe_wrong(value: Any, kind: pa.DataType, decimal_mark: str) -> str:
    """Say what a value isn't, with a remedy where one is known."""
    text = f"{value!r} is not {_NOUNS[kind]}"
    if kind not in _NUMBERS or not isinstance(value, str):
        return text
    if _GROUPED.fullmatch(value):
        return f"{text} (write it without thousands separators; a decimal mark is set by decimalMark in the contract)"
    if _OTHER_MARK[decimal_mark].fullmatch(value):
        other = "," if decimal_mark == "." else "."
        return f'{text} (for this decimal mark set decimalMark: "{other}" in the contract)'
    return text


def as_text(column: pa.Array) -> pa.Array:
    """Return a normalised column, which is no dictionary, as text."""
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def _to_number(column: pa.Array, _kind: pa.DataType, decimal_mark: str) -> pa.Array:
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return column.cast(pa.float64(), safe=False)
    if not pa.types.is_string(column.type):
        return pa.nulls(len(column), pa.float64())
    if decimal_mark == ",":
        column = pc.if_else(pc.match_substring(column, "."), "?", pc.replace_substring(column, ",", "."))
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid:  # some texts aren't numbers: cast the others
        return pc.if_else(pc.match_substring_regex(column, _NUMBER), column, None).cast(pa.float64())


def _to_whole(column: pa.Array, kind: pa.DataType, decimal_mark: str) -> pa.Array:
    if pa.types.is_string(column.type):
        exact = pc.if_else(pc.match_substring_regex(column, _WHOLE), column, None).cast(pa.int64())
    else:
        exact = column if pa.types.is_integer(column.type) else pa.nulls(len(column), pa.int64())
    number = _to_number(column, pa.float64(), decimal_mark)
    is_whole = pc.and_(pc.equal(number, pc.round(number)), pc.less_equal(pc.abs(number), _LARGEST_EXACT))
    whole = pc.coalesce(exact, pc.if_else(is_whole, number, None).cast(pa.int64()))
    if kind == pa.int32():
        limit = 2**31 - 1
        whole = pc.if_else(pc.and_(pc.less_equal(whole, limit), pc.greater_equal(whole, -limit)), whole, None)
    return whole.cast(kind)


def _to_boolean(column: pa.Array, kind: pa.DataType, _mark: str) -> pa.Array:
    if pa.types.is_boolean(column.type):
        return column
    text = pc.utf8_lower(as_text(column))
    known = pc.is_in(text, pa.array((*TRUE, *FALSE)))
    return pc.if_else(known, pc.is_in(text, pa.array(TRUE)), None).cast(kind)


def _to_date(column: pa.Array, kind: pa.DataType, _mark: str) -> pa.Array:
    if pa.types.is_date32(column.type):
        return column
    if pa.types.is_timestamp(column.type):
        days = column.cast(kind, safe=False)
        return pc.if_else(pc.equal(days.cast(pa.timestamp("us")).cast(TIMESTAMP), column), days, None)
    return _each(column, kind, date.fromisoformat)


def _to_timestamp(column: pa.Array, kind: pa.DataType, _mark: str) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        return column
    if pa.types.is_date32(column.type):
        return column.cast(pa.timestamp("us")).cast(kind)
    return _each(column, kind, _utc)


def _utc(text: str) -> datetime:
    """Read a time; without a zone it is of UTC."""
    found = datetime.fromisoformat(text)
    return (found.replace(tzinfo=UTC) if found.tzinfo is None else found).astimezone(UTC)


def _each(column: pa.Array, kind: pa.DataType, read: Callable[[str], Any]) -> pa.Array:
    def read_or_none(text: str | None) -> Any:
        try:
            return None if text is None else read(text)
        except (ValueError, OverflowError):
            return None

    return pa.array([read_or_none(text) for text in as_text(column).to_pylist()], kind)


_READERS: Final[dict[pa.DataType, Callable[[pa.Array, pa.DataType, str], pa.Array]]] = {
    pa.float64(): _to_number,
    pa.int32(): _to_whole,
    pa.int64(): _to_whole,
    pa.bool_(): _to_boolean,
    pa.date32(): _to_date,
    TIMESTAMP: _to_timestamp,
}

"""Turn text into numbers, and set aside the rows where that fails, with the reason.

Names and years are dictionaries, because they have few different values: each value is parsed once.
"""

import json
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penguins.data.contract import FEATURE_NAMES, NULL_VALUES
from penguins.errors import UserError

# Columns of the table penguins_raw after source_row, in order.
RAW_TYPES: Final = {
    "species": pa.string(),
    "island": pa.string(),
    **{name: pa.float64() for name in FEATURE_NAMES},
    "sex": pa.string(),
    "year": pa.int32(),
}
_NUMBER: Final = r"^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$"
_LARGEST_WHOLE: Final = 2**31 - 1


@dataclass(frozen=True)
class Rejected:
    """A row that breaks the contract: its number in the source, the reason, and its content as JSON."""

    source_row: int
    reason: str
    record: str


def parse(batch: pa.RecordBatch, numbers: np.ndarray) -> tuple[pa.RecordBatch, list[Rejected]]:
    """Cast a batch to the types of penguins_raw.

    Args:
        batch: columns as the source has them; optional ones may be absent.
        numbers: int64 `[n]`, the row numbers of the batch in the source.

    Returns:
        The rows that could be cast, with `source_row` first and text as dictionaries, and the rejected rows.

    Raises:
        UserError: a column is neither numbers nor text, or a name holds a character that isn't allowed.
    """
    reasons: dict[int, list[str]] = {}
    columns: dict[str, pa.Array] = {"source_row": pa.array(numbers)}
    for name, kind in RAW_TYPES.items():
        column = batch.column(name) if name in batch.schema.names else pa.nulls(len(batch))
        if name not in FEATURE_NAMES and pa.types.is_string(column.type):
            column = column.dictionary_encode()
        given = _normalised(name, column)
        if pa.types.is_string(kind):
            columns[name] = _names(name, given, numbers)
            continue
        columns[name], wrong = _cast(given, kind)
        for position in wrong:
            value = given[int(position)].as_py()
            reasons.setdefault(int(position), []).append(f"{name}: {value!r} is not {_noun(kind)}")
    typed = pa.RecordBatch.from_pydict(columns)
    if not reasons:
        return typed, []
    positions = sorted(reasons)
    keep = np.ones(len(batch), dtype=bool)
    keep[positions] = False
    records = batch.take(pa.array(positions)).to_pylist()
    rejected = [
        Rejected(int(numbers[position]), "; ".join(reasons[position]), _as_json(record))
        for position, record in zip(positions, records, strict=True)
    ]
    return typed.filter(pa.array(keep)), rejected


def _normalised(name: str, column: pa.Array) -> pa.Array:
    """Convert a column to trimmed text or to float64; every spelling of a missing value becomes null."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(column.indices, _normalised(name, column.dictionary))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        return pc.if_else(pc.is_in(text, pa.array(NULL_VALUES)), None, text)
    if pa.types.is_null(kind):
        return pa.nulls(len(column), pa.string())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        number = column.cast(pa.float64(), safe=False)
        return pc.if_else(pc.is_nan(number), None, number)
    raise UserError(f"column {name!r} is of type {column.type}: it must hold numbers or text")


def _cast(column: pa.Array, kind: pa.DataType) -> tuple[pa.Array, np.ndarray]:
    """Cast a column to numbers of `kind`, null where that fails, and return the positions of the failures."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary.take(column.indices)
    value = column
    if pa.types.is_string(column.type):
        try:
            value = column.cast(pa.float64())
        except pa.ArrowInvalid:  # some texts aren't numbers: cast the others
            value = pc.if_else(pc.match_substring_regex(column, _NUMBER), column, None).cast(pa.float64())
    if pa.types.is_integer(kind):
        whole = pc.and_(pc.equal(value, pc.round(value)), pc.less_equal(pc.abs(value), _LARGEST_WHOLE))
        value = pc.if_else(whole, value, None).cast(kind)
    wrong = pc.and_(pc.is_valid(column), pc.is_null(value))
    return value, np.flatnonzero(wrong.to_numpy(zero_copy_only=False))


def _names(name: str, column: pa.Array, numbers: np.ndarray) -> pa.Array:
    """Convert a column to a dictionary of texts, and check that PostgreSQL can store them."""
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    # A line break is the sign of a quote that isn't closed. PostgreSQL can't store a NUL character.
    for character, what in (("\n", "a line break: is a quote not closed?"), ("\0", "a NUL character")):
        holds = pc.match_substring(column.dictionary, character)
        if pc.any(holds).as_py() and (found := pc.index(holds.take(column.indices), True).as_py()) >= 0:
            raise UserError(f"row {numbers[found]}: {name} holds {what}")
    return column


def _noun(kind: pa.DataType) -> str:
    return "a whole number" if pa.types.is_integer(kind) else "a number"


def _as_json(record: dict[str, Any]) -> str:
    # JSON has neither infinity nor NaN.
    finite = {name: str(value) if value in (math.inf, -math.inf) else value for name, value in record.items()}
    return json.dumps({name: None if value != value else value for name, value in finite.items()}, default=str)

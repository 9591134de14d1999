"""Turn text into numbers, setting aside the rows where that fails, with the reason."""

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penguins.contract import FEATURE_NAMES
from penguins.errors import UserError

# The columns of the table penguins_raw beside source_row, in its order.
RAW_TYPES: Final = {
    "species": pa.string(),
    "island": pa.string(),
    **{name: pa.float64() for name in FEATURE_NAMES},
    "sex": pa.string(),
    "year": pa.int32(),
}
_NUMBER: Final = r"^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$"
_WHOLE_NUMBER: Final = r"^[-+]?\d{1,9}$"


@dataclass(frozen=True)
class Rejected:
    """A row that breaks the contract: its number in the source, why, and what it held."""

    source_row: int
    reason: str
    record: str


def parse(batch: pa.RecordBatch, numbers: np.ndarray) -> tuple[pa.RecordBatch, list[Rejected]]:
    """Cast a batch to the types of penguins_raw.

    Args:
        batch: columns as the source has them; optional ones may be absent.
        numbers: int64 `[n]`, the row numbers of the batch in the source.

    Returns:
        The rows that could be cast, with `source_row` first, and the others.

    Raises:
        UserError: a column is of a type that no value can be cast from.
    """
    reasons: dict[int, list[str]] = {}
    columns: dict[str, pa.Array] = {"source_row": pa.array(numbers)}
    for name, kind in RAW_TYPES.items():
        if name not in batch.schema.names:
            columns[name] = pa.nulls(len(batch), kind)
            continue
        columns[name], wrong = _cast(name, batch.column(name), kind)
        for position in wrong:
            value = batch.column(name)[position].as_py()
            reasons.setdefault(int(position), []).append(f"{name}: {value!r} is not {_noun(kind)}")
    typed = pa.RecordBatch.from_pydict(columns)
    if not reasons:
        return typed, []
    keep = np.ones(len(batch), dtype=bool)
    keep[list(reasons)] = False
    rejected = [
        Rejected(int(numbers[position]), "; ".join(why), _as_json(batch.slice(position, 1).to_pylist()[0]))
        for position, why in sorted(reasons.items())
    ]
    return typed.filter(pa.array(keep)), rejected


def _cast(name: str, column: pa.Array, kind: pa.DataType) -> tuple[pa.Array, np.ndarray]:
    """The column as `kind`, null where that fails, and the positions where it fails."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.utf8_trim_whitespace(column)
    nothing = np.empty(0, dtype=np.int64)
    try:
        return column.cast(kind), nothing
    except pa.ArrowNotImplementedError as error:
        raise UserError(f"column {name!r} is of type {column.type}, which can't be read as {kind}") from error
    except pa.ArrowInvalid:
        pass  # some value isn't of that kind: find out which below
    fits = _fits(column, kind)
    wrong = pc.and_(pc.is_valid(column), pc.invert(pc.fill_null(fits, False)))
    return pc.if_else(fits, column, None).cast(kind), np.flatnonzero(wrong.to_numpy(zero_copy_only=False))


def _fits(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_floating(column.type):  # to a whole number
        return pc.equal(column, pc.round(column))
    pattern = _WHOLE_NUMBER if pa.types.is_integer(kind) else _NUMBER
    return pc.match_substring_regex(column.cast(pa.string()), pattern)


def _noun(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "a whole number"
    return "a number" if pa.types.is_floating(kind) else "text"


def _as_json(record: dict[str, Any]) -> str:
    return json.dumps(record, default=str)

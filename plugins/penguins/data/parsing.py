"""Turn the values of a source into those of the contract's types, and set aside the rows where that fails.

Columns with few different values are dictionaries, so that each value is parsed once.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract.schema import SOURCE_ROW, Column, DataContract
from penguins.data import casting
from penguins.data.ddl import Field, fields
from penguins.errors import UserError

# Arrow's types of the columns of a raw table.
_TYPES: Final = {
    "text": pa.string(),
    "double precision": pa.float64(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp with time zone": casting.TIMESTAMP,
}

Types = Mapping[str, pa.DataType]
"""Types of the contract's columns by their names."""


@dataclass(frozen=True)
class Rejected:
    """A row that breaks the contract.

    Attributes:
        source_row: its number in the source.
        record: its content as JSON.
        columns: names of the columns that the reason is about.
    """

    source_row: int
    reason: str
    record: str
    columns: tuple[str, ...] = ()


def raw_types(contract: DataContract, table: Mapping[str, Field] | None = None) -> Types:
    """Return the types of the columns of a raw table.

    Args:
        table: columns of the table; None for a new one.
    """
    known = table or {field.name: field for field in fields(contract, "raw")}
    return {column.name: _TYPES[known[column.name].type] for column in contract.columns}


def parse(
    batch: pa.RecordBatch, numbers: np.ndarray, contract: DataContract, types: Types
) -> tuple[pa.RecordBatch, list[Rejected]]:
    """Cast a batch to the types of the raw table.

    Args:
        batch: columns as the source has them; optional ones may be absent.
        numbers: int64 `[n]`, the row numbers of the batch in the source.
        types: as `raw_types` returns them.

    Returns:
        The rows that could be cast, with `source_row` first and text as dictionaries, and the rejected rows.

    Raises:
        UserError: a column is neither numbers nor text, or a text holds a character that isn't allowed.
    """
    reasons: dict[int, dict[str, str]] = {}
    columns: dict[str, pa.Array] = {SOURCE_ROW: pa.array(numbers)}
    for column in contract.columns:
        name, kind = column.name, types[column.name]
        given = batch.column(name) if name in batch.schema.names else pa.nulls(len(batch))
        if pa.types.is_string(given.type) and not (column.is_numeric and column.role == "feature"):
            given = given.dictionary_encode()
        given = casting.normalise(name, given, contract.reading)
        if pa.types.is_string(kind):
            columns[name] = _texts(column, given, numbers, contract.reading.case_sensitive)
            continue
        columns[name], wrong = casting.cast(given, kind, contract.reading.decimal_mark)
        for position in wrong:
            why = casting.describe_wrong(given[int(position)].as_py(), kind, contract.reading.decimal_mark)
            reasons.setdefault(int(position), {})[name] = f"{name}: {why}"
    typed = pa.RecordBatch.from_pydict(columns)
    if not reasons:
        return typed, []
    keep = np.ones(len(batch), dtype=bool)
    keep[list(reasons)] = False
    records = batch.filter(pa.array(~keep)).to_pylist()
    rejected = [
        Rejected(int(numbers[position]), "; ".join(why.values()), as_json(record), tuple(why))
        for (position, why), record in zip(sorted(reasons.items()), records, strict=True)
    ]
    return typed.filter(pa.array(keep)), rejected


def _texts(column: Column, values: pa.Array, numbers: np.ndarray, case_sensitive: bool) -> pa.Array:
    """Convert a column to a dictionary of texts, and check that PostgreSQL can store them."""
    if pa.types.is_dictionary(values.type):
        values = pa.DictionaryArray.from_arrays(values.indices, casting.as_text(values.dictionary))
    else:
        values = casting.as_text(values).dictionary_encode()
    # PostgreSQL can't store a NUL character.
    holds = pc.match_substring(values.dictionary, "\0")
    if pc.any(holds).as_py() and (found := pc.index(holds.take(values.indices), True).as_py()) >= 0:
        raise UserError(f"row {numbers[found]}: {column.name} holds a NUL character: delete it")
    if column.categories is None:
        return values
    spelling = _spellings(column, case_sensitive)
    texts = [
        text if text is None else spelling.get(_key(text, case_sensitive), text)
        for text in values.dictionary.to_pylist()
    ]
    return pa.DictionaryArray.from_arrays(values.indices, pa.array(texts, pa.string()))


def _spellings(column: Column, case_sensitive: bool) -> dict[str, str]:
    """Return the contract's spelling of each category, by its trimmed text; without its case if that doesn't count."""
    return {_key(str(each), case_sensitive): str(each) for each in reversed(column.categories or ())}


def _key(text: str, case_sensitive: bool) -> str:
    return text.strip() if case_sensitive else text.strip().casefold()


def as_json(record: dict[str, Any]) -> str:
    """Return a row as JSON that PostgreSQL can store."""
    # JSON has neither infinity nor NaN, and PostgreSQL's no NUL character.
    return json.dumps({name: _plain(value) for name, value in record.items()}, default=str)


def _plain(value: Any) -> Any:
    if value in (math.inf, -math.inf):
        return str(value)
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return None if value != value else value

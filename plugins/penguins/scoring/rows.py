"""Read the rows to score, and set aside those that the service would refuse."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa

from contract.schema import SOURCE_ROW, DataContract
from penguins.data.checking import shown
from penguins.data.ingest import parsed
from penguins.data.parsing import Rejected, as_json, raw_types
from penguins.data.rules import rules_of
from penguins.data.sources import Source
from penguins.service_client import ServedVersion

MAX_ROWS: Final = 65_536
MAX_BYTES: Final = 16 << 20
"""Values of a chunk in float64, with those of the answer."""

Chunk = tuple[pa.Table, list[Rejected]]
"""Rows that the service accepts, and those that it would refuse."""


def input_contract(contract: DataContract, served: ServedVersion) -> DataContract:
    """Return the columns to read: the features of the version that serves, and other ones that a source may have.

    The contract says how they are read. Its target isn't among them: it is what nobody knows yet.
    """
    features = tuple(each.column for each in served.features)
    names = {column.name for column in features}
    others = (column for column in contract.others if column.name not in names)
    optional = tuple(column.model_copy(update={"required": False}) for column in others)
    return contract.model_copy(update={"columns": (*features, *optional)})


def chunks(source: Source, classes: int) -> Iterator[Chunk]:
    """Yield the rows, typed and with their numbers, as many at a time as fit into a request.

    Args:
        classes: number of the classes, whose probabilities come back.
    """
    most = max(1, min(MAX_ROWS, MAX_BYTES // (8 * (len(source.contract.columns) + classes))))
    waiting, rejected = pa.table({}), list[Rejected]()
    for batch, unreadable in parsed(source, raw_types(source.contract)):
        sound, impossible = _judge(_plain(batch), source.contract)
        rejected += unreadable + impossible
        waiting = pa.concat_tables([waiting, sound]) if waiting.num_columns else sound
        while len(waiting) >= most:
            yield waiting.slice(0, most), rejected
            waiting, rejected = waiting.slice(most), []
    if waiting.num_columns:
        yield waiting, rejected


def _plain(batch: pa.RecordBatch) -> pa.Table:
    """Return a batch with texts in the place of dictionaries."""
    columns = [column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column for column in batch.columns]
    return pa.table(columns, names=batch.schema.names)


def _judge(rows: pa.Table, contract: DataContract) -> Chunk:
    reasons: dict[int, list[str]] = {}
    for column in contract.features:
        if column.required:
            for position in _positions(rows[column.name].is_null()):
                reasons.setdefault(position, []).append(f"{column.name} is missing")
    for rule in rules_of(contract.features):
        values = rows[rule.column.name].combine_chunks()
        for position in _positions(rule.broken(values)):
            text = f"{rule.before}{shown(values[position].as_py())}{rule.after}"
            reasons.setdefault(position, []).append(text)
    if not reasons:
        return rows, []
    positions = sorted(reasons)
    keep = np.ones(len(rows), dtype=bool)
    keep[positions] = False
    records = rows.take(positions).to_pylist()
    rejected = [
        Rejected(record.pop(SOURCE_ROW), "; ".join(reasons[position]), as_json(record))
        for position, record in zip(positions, records, strict=True)
    ]
    return rows.filter(pa.array(keep)), rejected


def _positions(broken: pa.Array) -> list[int]:
    return [int(each) for each in np.flatnonzero(broken.fill_null(False).to_numpy(zero_copy_only=False))]

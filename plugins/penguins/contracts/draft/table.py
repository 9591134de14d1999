"""Read a whole table without a contract, and profile its columns."""

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet

from contract.odcs.columns import wrong_name
from contract.odcs.tables import MAX_COLUMNS
from contract.schema import Column, DataContract, Reading
from contract.training import Training
from penguins.contracts.draft.profile import Profile, Twin
from penguins.data import dialect
from penguins.data.header import quoted
from penguins.data.sources import format_of, open_file
from penguins.errors import UserError

_SEPARATORS: Final = (",", ";", "\t", "|")
_ROWS: Final = 200  # that the separator and the decimal mark are guessed by


@dataclass(frozen=True)
class Table:
    """A profiled table.

    Attributes:
        reading: how the file is read.
        columns: profiles of the columns that a contract can have, in the order of the file, with the target.
        left_out: reason by the name of a column that it can't have.
        twins: columns that say the class in another way.
        malformed: number of rows that can't be read.
    """

    reading: Reading
    columns: tuple[Profile, ...]
    target: Profile
    left_out: dict[str, str]
    twins: frozenset[str]
    malformed: int


def read_table(source: str, path: Path, target: str) -> Table:
    """Read all rows of a file; `source` is its name for messages.

    Raises:
        UserError: the file can't be read, or doesn't have the target.
    """
    kind = format_of(source, path)
    reading = _guess_dialect(path, target) if kind == "text" else Reading()
    names, left_out = _header(source, path, kind, reading)
    if not names and not left_out:
        where = "no line is a JSON object with keys" if kind == "json" else "the first line must have the column names"
        raise UserError(f"{source}: there is no column {target!r}: {where}.")
    if names[:1] and names[0].startswith("sep="):
        raise UserError(f"{source}: delete its first line, {names[0][:20]!r}: only Excel reads it.")
    if target not in names:
        why = f" ({left_out[target]})" if target in left_out else ""
        raise UserError(f"{source}: there is no column {target!r}{why}. TARGET is one of {quoted(names) or 'none'}.")
    if len(names) > MAX_COLUMNS:
        raise UserError(
            f"{source}: {len(names):,} columns, and a contract has at most {MAX_COLUMNS:,}. "
            "Write those that are of use into a file of their own."
        )
    found = _profile(source, path, names, left_out, target, reading)
    more = set().union(*(profile.more_nulls for profile in found.columns))
    if more:  # they are missing values in every column
        again = found.reading.model_copy(update={"null_values": (*reading.null_values, *sorted(more))})
        found = _profile(source, path, names, left_out, target, again)
    return found


def _guess_dialect(path: Path, target: str) -> Reading:
    """Guess separator and decimal mark by the first rows."""
    lines, usual = dialect.first_lines(path), dialect.separator_of(path)
    for separator in sorted(_SEPARATORS, key=lambda each: each != usual):
        rows = list(islice(csv.reader(lines, delimiter=separator), _ROWS))
        if rows and target in rows[0] and (len(rows[0]) > 1 or len(lines) == 1):
            given = None if separator == usual else separator
            mark = "," if separator != "," and _has_decimal_commas(rows[1:]) else "."
            return Reading(separator=given, decimal_mark=mark)  # type: ignore[arg-type]
    return Reading()


def _has_decimal_commas(rows: Sequence[Sequence[str]]) -> bool:
    texts = [text.strip() for row in rows for text in row]
    commas = sum(map(bool, map(dialect.DECIMAL_COMMA.fullmatch, texts)))
    return commas > sum(text.replace(".", "", 1).lstrip("+-").isdigit() and "." in text for text in texts)


def _header(source: str, path: Path, kind: str, reading: Reading) -> tuple[list[str], dict[str, str]]:
    """Return the names of the columns that a contract can have, and of the others with the reason."""
    left_out = {}
    if kind == "parquet":
        schema = pa.parquet.read_schema(path)
        names = schema.names
        for column in schema:
            if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
                left_out[column.name] = f"holds {column.type}, which no column of a table can"
    elif kind == "json":
        names = list(dict.fromkeys(key for line in dialect.first_lines(path) for key in _keys(line)))
    else:
        lines = dialect.first_lines(path)
        names = next(csv.reader(lines, delimiter=reading.separator or dialect.separator_of(path)), [])
    for name in names:
        if not name or name == "__index_level_0__":
            left_out[name] = "is the index that pandas writes: the number of the row"
        elif wrong := wrong_name(name):
            left_out[name] = wrong
    twice = [name for name, count in Counter(names).items() if count > 1 and name not in left_out]
    if twice:
        raise UserError(f"{source}: the header has {quoted(twice)} more than once. Keep one of them.")
    return [name for name in names if name not in left_out], left_out


def _keys(line: str) -> list[str]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return []
    return list(found) if isinstance(found, dict) else []


def _profile(name: str, path: Path, names: list[str], left_out: dict[str, str], target: str, reading: Reading) -> Table:
    columns = [
        Column(name=name, type="string", role="target" if name == target else "ignored", required=name == target)
        for name in names
    ]
    training = Training(registered_model="none", experiment="none", min_accuracy=0)
    everything = DataContract(name="draft", columns=tuple(columns), reading=reading, training=training)
    profiles, twins = {name: Profile(name) for name in names}, {name: Twin() for name in names}
    source = open_file(name, path, everything)
    for batch in source.batches:
        classes = profiles[target].take(batch.column(target), reading)
        for column, profile in profiles.items():
            if column == target or profile.unusable or column not in batch.schema.names:
                continue
            texts = profile.take(batch.column(column), reading)
            if texts is not None and classes is not None:
                twins[column].take(texts, classes)
    table = Table(
        reading,
        tuple(profile for profile in profiles.values() if not profile.unusable),
        profiles[target],
        left_out | {name: profile.unusable for name, profile in profiles.items() if profile.unusable},
        frozenset(name for name, twin in twins.items() if twin.is_one and len(twin.values) > 1),
        len(source.malformed),
    )
    return replace(table, left_out={name or "(without a name)": why for name, why in table.left_out.items()})

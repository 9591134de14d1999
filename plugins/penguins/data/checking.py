"""Judge a source by a contract, without a load: the rows that would be used, and the reasons of the others."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection

from contract.schema import DataContract
from penguins.data.ingest import parsed
from penguins.data.parsing import Rejected, raw_types
from penguins.data.rules import Rule, rules
from penguins.data.sources import open_source
from penguins.data.tables import name_of_limit

_ROW: Final = ""
"""Name in place of a column's for rows that can't be read at all."""


@dataclass
class Problem:
    """The rows that are rejected for the same column, and the first reason."""

    rows: int
    first: str


@dataclass
class Values:
    """The values of a column in the rows that can be used.

    Attributes:
        low, high: least and greatest number.
        counts: rows by category, class or boolean.
    """

    missing: int = 0
    low: float = np.inf
    high: float = -np.inf
    counts: Counter[Any] = field(default_factory=Counter)

    def add(self, values: pa.Array, is_numeric: bool) -> None:
        """Add the values of a batch."""
        self.missing += values.null_count
        if not is_numeric:
            for pair in values.drop_null().value_counts().to_pylist():
                self.counts[pair["values"]] += pair["counts"]
        elif values.null_count < len(values):
            found = pc.min_max(values).as_py()
            self.low, self.high = min(self.low, found["min"]), max(self.high, found["max"])


@dataclass
class SourceCheck:
    """The result of a load and of preprocess, if they were done.

    Attributes:
        rows: all rows of the source.
        unreadable: rows that load_raw would reject.
        incomplete: other rows that lack a required value.
        impossible: other rows that preprocess would reject.
        problems: of the rejected rows, by task and column.
        values: of the target and the features, by their names.
    """

    contract: DataContract
    rows: int = 0
    unreadable: int = 0
    incomplete: int = 0
    impossible: int = 0
    problems: dict[tuple[str, str], Problem] = field(default_factory=dict)
    values: dict[str, Values] = field(default_factory=dict)

    @property
    def used(self) -> int:
        """Return the number of rows that a model would learn from or be judged on."""
        return self.rows - self.unreadable - self.incomplete - self.impossible

    @property
    def class_rows(self) -> dict[str, int]:
        """Return the number of rows of each class."""
        counts = self.values[self.contract.target.name].counts
        return {name: counts[value] for name, value in zip(self.contract.classes, self._class_values(), strict=True)}

    def _class_values(self) -> tuple[Any, ...]:
        target = self.contract.target
        return (False, True) if target.type == "boolean" else target.categories or ()

    def refusal(self) -> str:
        """Return the reason why the source wouldn't be loaded and trained on; empty if it would."""
        allowed = self.contract.training.max_rejected_share
        judged = {"load_raw": (self.unreadable, self.rows)}
        judged["preprocess"] = self.impossible, self.rows - self.unreadable - self.incomplete
        for task, (rejected, rows) in judged.items():
            if rejected > allowed * rows:
                return (
                    f"{task} would refuse it: {rejected:,} of {rows:,} rows ({rejected / rows:.1%}) break the data "
                    f"contract, more than the {allowed:.0%} that {name_of_limit(self.contract)} allows."
                )
        if not self.used:
            return f"not one of its {self.rows:,} rows can be used." if self.rows else "it has a header but no rows."
        rare = [f"{name} ({count})" for name, count in self.class_rows.items() if count < 2]
        target = self.contract.target.name
        return f"it has too few rows of {', '.join(rare)}: at least 2 of each {target} are needed." if rare else ""


def check_source(source: str, contract: DataContract, connection: Connection[Any] | None = None) -> SourceCheck:
    """Read a whole source in constant memory, and judge its rows; nothing is written.

    Args:
        connection: for a source that is a table of the pipeline's database.

    Raises:
        UserError: the source can't be read.
    """
    check = SourceCheck(contract, values={column.name: Values() for column in (contract.target, *contract.features)})
    judged = rules(contract)
    with open_source(source, contract, connection) as opened:
        for batch, rejected in parsed(opened, raw_types(contract)):
            check.rows += len(batch) + len(rejected)
            for row in rejected:
                _count_unreadable(check, row)
            _judge(check, batch, judged)
        for number, reason in opened.malformed.items():
            check.rows += 1
            _count_unreadable(check, Rejected(number, reason, "null", (_ROW,)))
    return check


def _count_unreadable(check: SourceCheck, row: Rejected) -> None:
    check.unreadable += 1
    for name in row.columns:
        _note(check, "load_raw", name, 1, f"row {row.source_row}: {row.reason}")


def _note(check: SourceCheck, task: str, name: str, rows: int, first: str) -> None:
    check.problems.setdefault((task, name), Problem(0, first)).rows += rows


def _judge(check: SourceCheck, batch: pa.RecordBatch, judged: list[Rule]) -> None:
    contract = check.contract
    columns = {name: _plain(batch.column(name)) for name in batch.schema.names}
    usable = np.ones(len(batch), dtype=bool)
    for column in contract.columns:
        if column.required or column.role == "target":
            usable &= _mask(columns[column.name].is_valid())
    check.incomplete += int(len(batch) - usable.sum())
    complete = usable.copy()
    for rule in judged:
        values = columns[rule.column.name]
        broken = _mask(rule.broken(values)) & complete
        if not broken.any():
            continue
        first = int(np.flatnonzero(broken)[0])
        reason = f"row {batch.column(0)[first]}: {rule.before}{shown(values[first].as_py())}{rule.after}"
        _note(check, "preprocess", rule.column.name, int(broken.sum()), reason)
        usable &= ~broken
    check.impossible += int(complete.sum() - usable.sum())
    for column in (contract.target, *contract.features):
        check.values[column.name].add(columns[column.name].filter(pa.array(usable)), column.is_numeric)


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _mask(values: pa.Array) -> np.ndarray:
    return np.asarray(values.fill_null(False).to_numpy(zero_copy_only=False))


def shown(value: Any) -> str:
    """Return a value as PostgreSQL shows it in a reason."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    special = {np.inf: "Infinity", -np.inf: "-Infinity"}
    return "NaN" if value != value else special.get(value, repr(value).removesuffix(".0"))

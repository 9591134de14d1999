"""The values that a contract allows in a column, as conditions of SQL and of Arrow that mean the same."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from contract.schema import Category, Column, DataContract

LARGEST: Final = 3.4028234663852886e38
"""The largest float32: a model can't see a larger number."""

MAX_KNOWN: Final = 20  # categories in a message


@dataclass(frozen=True)
class Rule(ABC):
    """A condition on the values of a column that aren't null.

    The reason of a rejection is `before`, the value, and `after`.
    """

    column: Column
    before: str
    after: str

    @property
    def field(self) -> sql.Identifier:
        """Return the column of the table `raw`."""
        return sql.Identifier("raw", self.column.name)

    def reason(self) -> sql.Composed:
        """Compose the reason why the value of `raw` breaks the rule."""
        quoted = sql.SQL("quote_literal({})" if self.column.type == "string" else "{}").format(self.field)
        return sql.SQL("concat({}, {}, {})").format(sql.Literal(self.before), quoted, sql.Literal(self.after))

    @abstractmethod
    def is_broken(self) -> sql.Composed:
        """Compose the condition that the value of `raw` breaks the rule."""

    @abstractmethod
    def broken(self, values: pa.Array) -> pa.Array:
        """Return for each value whether it breaks the rule, null for null."""


@dataclass(frozen=True)
class Within(Rule):
    """A number is between two limits, NaN never."""

    low: float
    high: float
    low_excluded: bool
    high_excluded: bool

    def is_broken(self) -> sql.Composed:
        """Compose the condition that the value of `raw` breaks the rule."""
        if not (self.low_excluded or self.high_excluded):
            return sql.SQL("{} NOT BETWEEN {} AND {}").format(self.field, sql.Literal(self.low), sql.Literal(self.high))
        signs = ">" if self.low_excluded else ">=", "<" if self.high_excluded else "<="
        return sql.SQL("NOT ({0} {1} {2} AND {0} {3} {4})").format(
            self.field, sql.SQL(signs[0]), sql.Literal(self.low), sql.SQL(signs[1]), sql.Literal(self.high)
        )

    def broken(self, values: pa.Array) -> pa.Array:
        """Return for each value whether it breaks the rule, null for null."""
        values = values.cast(pa.float64(), safe=False)  # Arrow refuses to compare a large whole number
        above = (pc.greater if self.low_excluded else pc.greater_equal)(values, self.low)
        below = (pc.less if self.high_excluded else pc.less_equal)(values, self.high)
        return pc.invert(pc.and_(above, below))


@dataclass(frozen=True)
class OneOf(Rule):
    """A value is one of the column's categories."""

    known: tuple[Category, ...]

    def is_broken(self) -> sql.Composed:
        """Compose the condition that the value of `raw` breaks the rule."""
        values = sql.SQL(", ").join(map(sql.Literal, self.known))
        return sql.SQL("{} NOT IN ({})").format(self.field, values)

    def broken(self, values: pa.Array) -> pa.Array:
        """Return for each value whether it breaks the rule, null for null."""
        known = pa.array(self.known, pa.string() if self.column.type == "string" else pa.int64())
        return pc.if_else(values.is_valid(), pc.invert(pc.is_in(values, known)), None)


def rules(contract: DataContract) -> list[Rule]:
    """Return the rules of a contract, that of the target first."""
    return rules_of((contract.target, *contract.features, *contract.others))


def rules_of(columns: Sequence[Column]) -> list[Rule]:
    """Return the rules of some columns, in their order."""
    found = (_rule(column) for column in columns)
    return [rule for rule in found if rule is not None]


def _rule(column: Column) -> Rule | None:
    if column.categories is not None:
        shown = [repr(each) if "," in str(each) else str(each) for each in column.categories[:MAX_KNOWN]]
        more = [f"and {len(column.categories) - MAX_KNOWN} more"] if column.categories[MAX_KNOWN:] else []
        known = ", ".join([*shown, *more])
        return OneOf(column, f"unknown {column.name} ", f", known are {known}", column.categories)
    lows = _limits((column.bounds.minimum, column.plausible.minimum), False)
    lows += _limits((column.bounds.exclusive_minimum, column.plausible.exclusive_minimum), True)
    highs = _limits((column.bounds.maximum, column.plausible.maximum), False)
    highs += _limits((column.bounds.exclusive_maximum, column.plausible.exclusive_maximum), True)
    if not column.is_numeric or not (lows or highs or column.role == "feature"):
        return None
    low, low_excluded = max(lows, default=(-LARGEST, False))
    high, high_excluded = min(highs, key=lambda limit: (limit[0], not limit[1]), default=(LARGEST, False))
    unit = f" {column.unit}" if column.unit else ""
    range_ = f"{_number(low)}{_excluded(low_excluded)} to {_number(high)}{_excluded(high_excluded)}"
    after = f"{unit} is not within {range_}"
    return Within(column, f"{column.name}: ", after, low, high, low_excluded, high_excluded)


def _limits(values: Sequence[float | None], excluded: bool) -> list[tuple[float, bool]]:
    return [(value, excluded) for value in values if value is not None]


def _excluded(excluded: bool) -> str:
    return " (excluded)" if excluded else ""


def _number(value: float) -> str:
    short = f"{value:g}"
    return short if float(short) == value or abs(value) == LARGEST else repr(value)

"""Look at the values of a column: their types, range, categories and missing values."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract.odcs.columns import MAX_CATEGORIES, MAX_CATEGORY_LENGTH
from contract.schema import LogicalType, Reading
from penguins.data import casting
from penguins.errors import UserError

# Texts that mean a missing value where all others are numbers or times; the contract's usual ones are null anyway.
MORE_NULLS: Final = ("-", "--", ".", "#N/A", "N.A.", "None", "n/a", "na", "none", "missing", "unknown")
MAX_UNIQUE: Final = 100_000
"""Values that are remembered, to see whether one occurs twice."""

_KINDS: Final[dict[LogicalType, pa.DataType]] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "date": pa.date32(),
    "timestamp": casting.TIMESTAMP,
}


@dataclass
class Profile:
    """The facts about a column, from its batches.

    Attributes:
        unusable: the reason why the column can't be read at all, or the empty string.
        missing: number of missing values.
        spellings: texts that stood for them.
        texts: number of rows by value, of the first 1,001 values.
        numbers_only: by type, the texts that aren't of it; types that are out of the question are absent.
        is_float: whether a value has a decimal mark, or is a floating-point number of the file.
        is_unique: whether no value occurs twice in the first rows.
        is_count: whether the values are whole numbers, each one more than the last.
        low, high: of the numbers.
        medians: of the numbers of each batch.
    """

    name: str
    rows: int = 0
    missing: int = 0
    unusable: str = ""
    spellings: set[str] = field(default_factory=set)
    texts: Counter[str] = field(default_factory=Counter)
    wrong: dict[LogicalType, set[str]] = field(default_factory=lambda: {kind: set() for kind in _KINDS})
    is_float: bool = False
    is_unique: bool = True
    is_count: bool = True
    low: float = np.inf
    high: float = -np.inf
    medians: list[float] = field(default_factory=list)
    _seen: set[int] = field(default_factory=set)
    _next: int | None = None

    @property
    def has_all_texts(self) -> bool:
        """Return whether `texts` has all values: there are at most 1,000."""
        return len(self.texts) <= MAX_CATEGORIES

    @property
    def type(self) -> LogicalType:
        """Return the narrowest type that all values have."""
        if self.texts and {text.lower() for text in self.texts} <= {"true", "false"}:
            return "boolean"
        possible = [kind for kind in _KINDS if kind in self.wrong and self.missing < self.rows]
        if self.is_float and "integer" in possible:
            possible.remove("integer")
        return possible[0] if possible else "string"

    @property
    def is_whole(self) -> bool:
        """Return whether all values are whole numbers, also if they are written with a decimal mark."""
        return "integer" in self.wrong and self.missing < self.rows

    @property
    def middle(self) -> float:
        """Return the median of the numbers or, of a large table, about that: always one of them."""
        return sorted(self.medians)[(len(self.medians) - 1) // 2]

    @property
    def more_nulls(self) -> set[str]:
        """Return the texts that must mean a missing value for all others to be of the type."""
        return self.wrong.get(self.type, set())

    def take(self, values: pa.Array, reading: Reading) -> pa.Array | None:
        """Look at more values, as a file has them, and return their texts; None if they can't be read."""
        try:
            found = casting.normalise(self.name, values, reading)
        except UserError as error:
            self.unusable = str(error)
            return None
        self.rows += len(found)
        self.missing += found.null_count
        if pa.types.is_string(values.type):
            self.spellings |= set(pc.unique(values.filter(found.is_null()).drop_null()).to_pylist())
        text = casting.as_text(found.dictionary_decode() if pa.types.is_dictionary(found.type) else found)
        self.is_float |= pa.types.is_floating(found.type) or _holds(text, r"[.eE,]")
        if _holds(text, r"\x00"):
            self.unusable = "a value has a NUL character"
            return None
        for kind, arrow in _KINDS.items():
            if kind in self.wrong:
                self._try(kind, casting.cast(found, arrow, reading.decimal_mark), text)
        self._count(text.drop_null())
        return text

    def _try(self, kind: LogicalType, cast: tuple[pa.Array, np.ndarray], text: pa.Array) -> None:
        values, wrong = cast
        self.wrong[kind] |= set(text.take(pa.array(wrong, pa.int64())).to_pylist()[: 2 * len(MORE_NULLS)])
        if not self.wrong[kind] <= set(MORE_NULLS):
            del self.wrong[kind]
        elif kind == "number" and values.null_count < len(values):
            ends = pc.min_max(values).as_py()
            self.low, self.high = min(self.low, ends["min"]), max(self.high, ends["max"])
            self.medians.append(pc.quantile(values, 0.5, interpolation="lower")[0].as_py())
        elif kind == "integer" and self.is_count:
            self._check_count(values)

    def _check_count(self, values: pa.Array) -> None:
        given = values.to_numpy(zero_copy_only=False)
        first = self._next if self._next is not None else (given[0] if len(given) else 0)
        self.is_count = values.null_count == 0 and bool(np.array_equal(given, np.arange(first, first + len(given))))
        self._next = int(first) + len(given) if self.is_count else None

    def _count(self, text: pa.Array) -> None:
        if self.has_all_texts:
            begins = pc.utf8_slice_codeunits(text, 0, MAX_CATEGORY_LENGTH + 1)  # a longer one is no category anyway
            for each in pc.value_counts(begins).to_pylist():
                self.texts[each["values"]] += each["counts"]
        if self.is_unique and len(self._seen) < MAX_UNIQUE:
            before = len(self._seen)
            self._seen.update(map(hash, text.to_pylist()))  # a text may be long
            self.is_unique = len(self._seen) == before + len(text)


@dataclass
class Twin:
    """Watches whether each value of a column goes with one class, and each class with one value."""

    classes: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    is_one: bool = True

    def take(self, values: pa.Array, classes: pa.Array) -> None:
        """Look at more pairs; those with a missing value don't count."""
        if not self.is_one:
            return
        for value, name in set(zip(values.to_pylist(), classes.to_pylist(), strict=True)):
            if value is None or name is None:
                continue
            is_pair = self.classes.setdefault(value, name) == name and self.values.setdefault(name, value) == value
            if not is_pair or len(self.classes) > MAX_CATEGORIES:  # a target has no more
                self.is_one = False
                return


def _holds(text: pa.Array, pattern: str) -> bool:
    found: Callable[..., pa.Array] = pc.match_substring_regex
    return bool(pc.any(found(text, pattern)).as_py())

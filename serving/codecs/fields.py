"""The fields of a row as clients write them: their values, and the numbers that a model sees in their place."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from math import inf, nextafter
from operator import le
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.encoding import codes, missing_value
from contract.manifest import Contract, Feature
from contract.schema import Bounds, Category
from serving.codecs.base import FLOAT32_OVERFLOW, Row, Values
from serving.codecs.errors import MAX_LISTED, shown

BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
"""Texts that mean a boolean, in lower case."""


class UnknownError(ValueError):
    """A value is none of a field's categories."""


class Field:
    """A feature of the model."""

    def __init__(self, feature: Feature) -> None:
        self.feature = feature
        self.name, self.unit = feature.name, feature.unit
        self.is_numeric, self.is_optional = feature.is_numeric, not feature.required
        self.is_whole = self.is_numeric and feature.type == "integer"
        self.missing = missing_value(feature)
        self.codes: dict[Category | bool, float] = {value: float(code) for value, code in codes(feature).items()}
        self.low, self.high = _limits(feature.bounds) if self.is_numeric else (-inf, inf)

    @property
    def allowed(self) -> str:
        """Return the sentence about the allowed values."""
        missing = ", or null if it is missing" if self.is_optional else ""
        if self.feature.type == "boolean":
            return f"allowed is true or false{missing}"
        if self.feature.categories is not None:
            values = [shown(value) for value in self.feature.categories[:MAX_LISTED]]
            more = len(self.feature.categories) - len(values)
            rest = f" and {more} more" if more else ""
            return f"allowed is one of {', '.join(values)}{rest}{missing}"
        kind, unit = (
            "a whole JSON number" if self.is_whole else "a JSON number",
            f", in {self.unit}" if self.unit else "",
        )
        return f"allowed is {kind} {_range(self.feature.bounds)}{unit}{missing}"

    def code(self, value: Any) -> float:
        """Return the number of a category, of a boolean, or of a missing value.

        Raises:
            UnknownError: it is none of the field's.
        """
        if value is None and self.is_optional:
            return self.missing
        known = type(value) is bool if self.feature.type == "boolean" else type(value) in (str, int, float)
        code = self.codes.get(value) if known else None  # True is 1 for a dictionary
        if code is None:
            raise UnknownError(value)
        return code

    def parse(self, text: str) -> Any:
        """Return the value that a text in a table means; the text itself if it means none."""
        if not text and self.is_optional and "" not in self.codes:
            return None
        if self.feature.type == "boolean":
            return BOOLEANS.get(text.lower(), text)
        if self.feature.type in ("integer", "number"):
            return _number(text)
        return text

    def nearest(self, value: Any) -> str | None:
        """Return the category that is spelled like an unknown one."""
        if not isinstance(value, str) or len(value) > 100:
            return None
        known = {str(each).casefold(): str(each) for each in self.codes if isinstance(each, str)}
        found = get_close_matches(value.strip().casefold(), known, 1)
        return known[found[0]] if found else None


class Fields:
    """The fields of a model's rows, in the order of its columns."""

    def __init__(self, contract: Contract) -> None:
        self.all = [Field(feature) for feature in contract.features]
        self.names = [field.name for field in self.all]
        self.by_name: Mapping[str, Field] = {field.name: field for field in self.all}
        self.noun = "penguin" if contract.name == "penguins" else "row"
        self.are_numbers = all(field.is_numeric and not field.is_optional for field in self.all)
        """Whether the model sees the values as they are sent, without codes and without missing ones."""
        self._low, self._high = [field.low for field in self.all], [field.high for field in self.all]
        self._is_optional = np.array([field.is_numeric and field.is_optional for field in self.all])
        self._whole = [index for index, field in enumerate(self.all) if field.is_whole]

    def accept(self, row: Row) -> bool:
        """Return whether the model accepts an encoded row without numbers that aren't finite, but for missing ones."""
        if self.are_numbers and not self._whole:
            return all(map(le, self._low, row)) and all(map(le, row, self._high))
        fields = zip(self.all, row, strict=True)
        return all(
            field.low <= value <= field.high and (not field.is_whole or value % 1 == 0)
            if value == value
            else field.is_optional
            for field, value in fields
        )

    def usable(self, values: Values) -> NDArray[np.bool_]:
        """Return for each encoded value whether the model accepts it."""
        found: NDArray[np.bool_] = (values >= self._low) & (values <= self._high)
        if self._whole:
            found[:, self._whole] &= values[:, self._whole] % 1 == 0
        if self._is_optional.any():
            found |= np.isnan(values) & self._is_optional
        return found

    def lacking(self, names: Iterable[str]) -> bool:
        """Return whether columns of a table are unknown, twice there, or missing although they are required."""
        given = list(names)
        known = set(given)
        is_complete = all(field.name in known or field.is_optional for field in self.all)
        return not (is_complete and known <= self.by_name.keys() and len(known) == len(given) and given)


def _number(text: str) -> Any:
    """Return the number that a text means, or the text."""
    for kind in (int, float):
        with suppress(ValueError):
            if "_" not in text:  # Python reads 1_000 as a number
                return kind(text)
    return text


def _limits(bounds: Bounds) -> tuple[float, float]:
    """Return the least and the greatest float64 that are allowed and finite in float32."""
    low, high = bounds.range
    return max(low, nextafter(-FLOAT32_OVERFLOW, 0)), min(high, nextafter(FLOAT32_OVERFLOW, 0))


def _range(bounds: Bounds) -> str:
    least, most = "greater than -3.4e38", "less than 3.4e38"
    if bounds.minimum is not None:
        least = f"of at least {bounds.minimum:.15g}"
    if bounds.exclusive_minimum is not None:
        least = f"greater than {bounds.exclusive_minimum:.15g}"
    if bounds.maximum is not None:
        most = f"at most {bounds.maximum:.15g}"
    if bounds.exclusive_maximum is not None:
        most = f"less than {bounds.exclusive_maximum:.15g}"
    return f"{least} and {most}"

"""The columns of the matrix that a model sees, and the steps that prepare them for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from sklearn.base import TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from contract.encoding import codes
from contract.schema import Column

BELOW_ALL: Final = -(2.0**100)
"""A number far below any measured one, which float32 can represent."""


@dataclass(frozen=True)
class Columns:
    """The columns of the matrix that a model sees.

    Attributes:
        numbers: positions of the columns with numbers.
        codes: number of codes of the columns with categories and booleans, by position. The last one means that the
            value is missing.
        may_be_missing: whether numbers may be missing, which are NaN then.
    """

    numbers: tuple[int, ...]
    codes: Mapping[int, int]
    may_be_missing: bool

    @classmethod
    def of(cls, features: Sequence[Column]) -> Self:
        """Return the columns of a contract's features."""
        numeric = tuple(position for position, feature in enumerate(features) if feature.is_numeric)
        return cls(
            numbers=numeric,
            codes={
                position: len(codes(feature)) + 1
                for position, feature in enumerate(features)
                if position not in numeric
            },
            may_be_missing=not all(features[position].required for position in numeric),
        )


NUMBERS: Final = Columns((), {}, False)
"""Any number of columns with numbers, none of which is missing."""


def fill_in() -> SimpleImputer:
    """Return the step for trees that know no missing numbers. They only compare, so a number below all others does."""
    return SimpleImputer(strategy="constant", fill_value=BELOW_ALL, keep_empty_features=True)


def scale(columns: Columns) -> TransformerMixin:
    """Return the step for models that add up numbers: scale numbers, give each code a column of its own.

    A missing number becomes the median.
    """
    numbers = StandardScaler()
    if columns.may_be_missing:
        numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), numbers)
    if not columns.codes:
        return numbers
    one_hot = OneHotEncoder(categories=[range(count) for count in columns.codes.values()], sparse_output=False)
    steps = [("numbers", numbers, list(columns.numbers)), ("codes", one_hot, list(columns.codes))]
    return ColumnTransformer([step for step in steps if step[2]])

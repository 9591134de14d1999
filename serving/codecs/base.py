"""The interface of the codecs, and the values that they read and write."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Row = tuple[float, ...]
"""One row of the model's input, in the order of its features."""

Values = NDArray[np.float64]
"""Rows [n, features] of the model's input, columns in the order of its features."""

FLOAT32_OVERFLOW = 2.0**128 - 2.0**103
"""The least float64 that is rounded to infinity in float32."""


class Prediction(NamedTuple):
    """The prediction for one row, in Python's own types."""

    row: Row
    label: int
    probabilities: list[float]
    """Rounded, one for each class."""
    outside: list[int]
    """Columns with a value outside the range seen in training."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """The predictions for n rows."""

    rows: NDArray[np.floating]
    """[n, features], as they were given."""
    labels: NDArray[np.int64]
    """[n]."""
    probabilities: Values
    """float64 [n, classes], rounded."""
    outside: NDArray[np.bool_]
    """[n, features]: the value is outside the range seen in training."""


Batch_co = TypeVar("Batch_co", bound=Row | Values, covariant=True)
Answer_contra = TypeVar("Answer_contra", bound=Prediction | Predictions, contravariant=True)


class Codec(Protocol[Batch_co, Answer_contra]):
    """Reads the rows of a request and writes the predictions for them, in one media type and for one model version."""

    def decode(self, body: IO[bytes]) -> Iterator[Batch_co]:
        """Read the rows, some at a time.

        Raises:
            InvalidError: the body isn't of the media type, or its columns or values are wrong.
        """
        ...

    def encode(self, answers: Iterable[Answer_contra]) -> Iterator[bytes]:
        """Write the predictions, some at a time; the pieces together are the body of the response."""
        ...


TableCodec = Codec[Values, Predictions]


def usable(values: Values) -> NDArray[np.bool_]:
    """Return for each value whether the model accepts it: greater than 0 and finite in float32."""
    return (values > 0) & (values < FLOAT32_OVERFLOW)


def table_columns(species: Sequence[str]) -> list[str]:
    """Return the names of the columns of a table of predictions."""
    return [
        "prediction",
        "species",
        *(f"probability_{name}" for name in species),
        "outside_training_range",
        "model_version",
    ]


def outside_names(names: Sequence[str], outside: NDArray[np.bool_]) -> list[str]:
    """Return for each row of `outside` [n, features] the names of the marked features, separated by spaces."""
    packed = np.packbits(outside, axis=1)
    keys = packed.view(f"V{packed.shape[1]}").ravel().tolist()  # a row's bits as bytes
    _, first = np.unique(packed, axis=0, return_index=True)
    texts = {keys[row]: " ".join(np.compress(outside[row], names)) for row in first.tolist()}
    return [texts[key] for key in keys]

"""The reference of a version: what drift and accuracy in Production are measured against, `monitoring/reference.bin`.

    MAGIC, u32 length of the summary (big-endian), the summary as JSON,
    sample         float32 [rows, features]    training rows as the model saw them, in random order; NaN is missing
    probabilities  float32 [scored, classes]   answers to rows that the answering model hadn't learned from
    labels         int16   [scored]            their true classes

The arrays are little-endian and fill the rest of the file exactly. It holds no pickle, and sizes are checked before
anything is allocated. docs/reference/contract.md describes it for people.
"""

import struct
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from contract.encoding import Matrix
from contract.manifest import MAX_CLASSES, MAX_FEATURES, PROBABILITY_TOLERANCE

REFERENCE_FILE: Final = "monitoring/reference.bin"

MAX_ROWS: Final = 2_000
"""Rows of the sample, and scored rows, at most."""

LEVELS: Final = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Levels of the quantiles of a number."""

MAGIC: Final = b"PGREF1\n"
_MAX_BYTES: Final = 64 * 1024 * 1024
_LENGTH: Final = struct.Struct(">I")

Kind = Literal["number", "boolean", "category"]
Count = Annotated[int, Field(ge=0)]


class BadReferenceError(Exception):
    """A file isn't a reference."""


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class FeatureSummary(_Part):
    """A feature in all training rows.

    Attributes:
        logged: whether the prediction log keeps its values.
        missing: share of the rows without a value.
        quantiles: at `LEVELS`, of a number that isn't always missing.
        counts: rows of each code of a category or boolean, those without a value last.
    """

    name: str
    kind: Kind
    logged: bool
    missing: Annotated[FiniteFloat, Field(ge=0, le=1)]
    quantiles: list[FiniteFloat] = []
    counts: list[Count] = []

    @model_validator(mode="after")
    def _check(self) -> Self:
        expected = {0, len(LEVELS)} if self.kind == "number" else {0}
        if len(self.quantiles) not in expected or sorted(self.quantiles) != self.quantiles:
            raise ValueError(f"{self.name!r:.80} has {len(self.quantiles)} quantiles, or they aren't in order")
        if bool(self.counts) != (self.kind != "number") or (self.counts and len(self.counts) < 2):
            raise ValueError(f"{self.name!r:.80} is a {self.kind} and has {len(self.counts)} counts")
        return self


class Summary(_Part):
    """Numbers that summarise the training rows, and the sizes of the arrays.

    Attributes:
        trained_on: number of training rows.
        class_counts: training rows of each class.
    """

    format: Literal[1]
    trained_on: Count
    features: Annotated[list[FeatureSummary], Field(min_length=1, max_length=MAX_FEATURES)]
    classes: Annotated[list[str], Field(min_length=2, max_length=MAX_CLASSES)]
    class_counts: list[Count]
    rows: Annotated[int, Field(ge=0, le=MAX_ROWS)]
    scored: Annotated[int, Field(ge=0, le=MAX_ROWS)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.class_counts) != len(self.classes):
            raise ValueError(f"{len(self.classes)} classes have {len(self.class_counts)} counts")
        return self


@dataclass(frozen=True)
class Reference:
    """A sample of the rows that a version learned from, and answers to rows with known classes.

    Attributes:
        sample: float32 `[rows, features]`, as the model saw them.
        probabilities: float32 `[scored, classes]`, of the version for its hold-out, or out-of-fold.
        labels: true classes `[scored]` of these.
    """

    summary: Summary
    sample: Matrix
    probabilities: Matrix
    labels: NDArray[np.int16]

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            BadReferenceError: an array has another shape than the summary says, or a value that can't be.
        """
        summary = self.summary
        shapes = (self.sample.shape, self.probabilities.shape, self.labels.shape)
        width = len(summary.features), len(summary.classes)
        if shapes != ((summary.rows, width[0]), (summary.scored, width[1]), (summary.scored,)):
            raise BadReferenceError(f"its arrays have the shapes {shapes}, which aren't those of its summary")
        for place, feature in enumerate(summary.features):
            _check_column(feature, self.sample[:, place])
        shares, low, high = self.probabilities, -PROBABILITY_TOLERANCE, 1 + PROBABILITY_TOLERANCE
        if not (np.all((shares >= low) & (shares <= high)) and np.allclose(shares.sum(axis=1), 1, atol=1e-2)):
            raise BadReferenceError("a row of probabilities isn't within 0 and 1 with a sum of 1")
        if not np.all((self.labels >= 0) & (self.labels < len(summary.classes))):
            raise BadReferenceError(f"a label isn't one of its {len(summary.classes)} classes")


def _check_column(feature: FeatureSummary, values: NDArray[np.float32]) -> None:
    if feature.kind == "number":
        if np.isinf(values).any():
            raise BadReferenceError(f"{feature.name!r:.80} has an infinite number")
    elif not np.all((values >= 0) & (values < len(feature.counts)) & (values % 1 == 0)):
        raise BadReferenceError(f"{feature.name!r:.80} has a value that isn't a code below {len(feature.counts)}")


def encode(reference: Reference) -> bytes:
    """Return the content of the file."""
    summary = reference.summary.model_dump_json().encode()
    arrays = (reference.sample.astype("<f4"), reference.probabilities.astype("<f4"), reference.labels.astype("<i2"))
    return MAGIC + _LENGTH.pack(len(summary)) + summary + b"".join(array.tobytes() for array in arrays)


def decode(content: bytes) -> Reference:
    """Read the file.

    Raises:
        BadReferenceError: it isn't a reference.
    """
    start = len(MAGIC) + _LENGTH.size
    if not content.startswith(MAGIC) or not start <= len(content) <= _MAX_BYTES:
        raise BadReferenceError(f"it has {len(content)} bytes and begins with {content[:8]!r}")
    (length,) = _LENGTH.unpack_from(content, len(MAGIC))
    try:
        summary = Summary.model_validate_json(content[start : start + length])
    except ValidationError as error:
        raise BadReferenceError(f"its summary can't be read: {error.errors(include_url=False)[0]}"[:500]) from error
    rows, scored, features, classes = summary.rows, summary.scored, len(summary.features), len(summary.classes)
    sizes = [4 * rows * features, 4 * scored * classes, 2 * scored]
    arrays = content[start + length :]
    if len(arrays) != sum(sizes):
        raise BadReferenceError(f"it has {len(arrays)} bytes of arrays, and its summary says {sum(sizes)}")
    sample = np.frombuffer(arrays, "<f4", rows * features).reshape(rows, features)
    probabilities = np.frombuffer(arrays, "<f4", scored * classes, sizes[0]).reshape(scored, classes)
    labels = np.frombuffer(arrays, "<i2", scored, sizes[0] + sizes[1])
    return Reference(summary, sample, probabilities, labels)

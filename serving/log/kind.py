"""Kinds of logged rows: those of one segment are all of the same."""

from typing import NamedTuple, Self

from contract.rows import RowFormat
from contract.segments import PredictionsHeader

Key = tuple[str, str, str, float, str | None]
"""Model, version, contract, fraction and version in the shadow: all that the rows of a segment share."""


class Kind(NamedTuple):
    """A kind of rows."""

    key: Key
    header: PredictionsHeader
    format: RowFormat

    @classmethod
    def of(cls, header: PredictionsHeader) -> Self:
        """Return the kind of the rows of a segment."""
        key = header.model, header.version, header.contract, header.fraction, header.shadow
        return cls(key, header, RowFormat(header))

    def rows_of(self, payload: bytes) -> int:
        """Return the number of rows in a payload."""
        return len(payload) // self.format.dtype.itemsize

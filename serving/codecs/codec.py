"""The interface of the codecs of tables."""

from collections.abc import Iterable, Iterator
from typing import IO, Protocol

from serving.codecs.base import Predictions, Values
from serving.codecs.fields import Fields


class TableCodec(Protocol):
    """Reads the rows of a table and writes the predictions for them, in one media type and for one model version."""

    fields: Fields

    def decode(self, body: IO[bytes]) -> Iterator[Values]:
        """Read the rows, some at a time.

        Raises:
            InvalidError: the body isn't of the media type, or its columns or values are wrong.
        """
        ...

    def encode(self, answers: Iterable[Predictions]) -> Iterator[bytes]:
        """Write the predictions, some at a time; the pieces together are the body of the response."""
        ...

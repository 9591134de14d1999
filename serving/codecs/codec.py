"""The interface of the codecs."""

from collections.abc import Iterable, Iterator
from typing import IO, Protocol, TypeVar

from serving.codecs.base import Prediction, Predictions, Row, Values
from serving.codecs.fields import Fields

Batch_co = TypeVar("Batch_co", bound=Row | Values, covariant=True)
Answer_contra = TypeVar("Answer_contra", bound=Prediction | Predictions, contravariant=True)


class Codec(Protocol[Batch_co, Answer_contra]):
    """Reads the rows of a request and writes the predictions for them, in one media type and for one model version."""

    fields: Fields

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

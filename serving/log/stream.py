"""The predictions of one model version, on their way into rows of a segment."""

import struct
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from contract.segments import LoggedContract, PredictionsHeader
from serving.codecs.base import Predictions
from serving.inference.blocks import Labels
from serving.inference.model import LoadedModel
from serving.log.ids import content_of
from serving.log.kind import Kind
from serving.log.shadow import ShadowAnswers

MAX_ROWS: Final = 400
"""Most single rows that are encoded at once: meanwhile no request is answered. From 500 on numpy would let the event
loop go on while it copies, and wait for its turn again after each copy, which takes more time than the copies."""

_OBJECT_BYTES: Final = 48
"""Memory of a packed row beside its content."""

_FIRST: Final[NDArray[np.int64]] = np.zeros(1, dtype=np.int64)

Single = bytes
"""A row, packed: neither the garbage collector nor the thread has to look at its values one by one."""


class Many(NamedTuple):
    """The answer to a list.

    Attributes:
        prediction_id: text of the id.
        at_us: microseconds since 1970.
        size: about as many bytes as it takes.
    """

    answer: Predictions
    prediction_id: bytes
    at_us: int
    latency_ms: float
    size: int


class Batch(NamedTuple):
    """Rows that were added.

    Attributes:
        size: about as many bytes of memory as they take.
        payloads: encodes them, piece by piece.
    """

    rows: int
    size: int
    payloads: Iterator[tuple[Kind, bytes]]


class Stream:
    """Keeps what the event loop records, and encodes it in another thread.

    Attributes:
        row_bytes: memory of a single row.
        pack: packs a row: the text of its id, nanoseconds since 1970, label, milliseconds, number of features outside
            the training range, features, probabilities.
        is_retired: whether nothing will be added any more.
    """

    def __init__(
        self, model: LoadedModel, prediction_id: bytes | None = None, shadow: ShadowAnswers | None = None
    ) -> None:
        """Take contract and version of a model.

        Args:
            prediction_id: that of a table.
            shadow: answers the rows again.
        """
        contract = model.contract
        self.model, self.fraction = model, contract.log_fraction
        self.header = PredictionsHeader(
            created_at=datetime.now(UTC),
            model=model.name,
            version=model.version,
            contract=contract.digest.hex(),
            document=LoggedContract.of(contract),
            fraction=contract.log_fraction or 1.0,
            prediction_id=UUID(bytes=prediction_id) if prediction_id else None,
        )
        self._plain = Kind.of(self.header)
        self.format = self._plain.format
        self._shadow = shadow
        again = self.header.model_copy(update={"shadow": shadow.version}) if shadow else self.header
        self._shadowed = Kind.of(again)
        self.singles: deque[Single] = deque()
        self.lists: deque[Many] = deque()
        self.is_retired = False
        self._left_out = [place for place, feature in enumerate(contract.features) if not feature.logged]
        features, classes = len(contract.features), len(contract.classes)
        row = struct.Struct(f"=36sqhfh{features}f{classes}f")
        self.pack = row.pack
        self._packed = np.dtype(
            [
                ("id", "V36"),
                ("at", "i8"),
                ("label", "i2"),
                ("latency", "f4"),
                ("outside", "i2"),
                ("features", "f4", (features,)),
                ("probabilities", "f4", (classes,)),
            ]
        )
        self.row_bytes = _OBJECT_BYTES + row.size

    def take(self) -> Iterator[Batch]:
        """Take what was added."""
        most = min(self.format.rows_in_block, MAX_ROWS)
        waiting = len(self.singles)
        while waiting:
            number = min(waiting, most)
            singles = [self.singles.popleft() for _ in range(number)]
            yield Batch(number, number * self.row_bytes, self._encode_singles(singles))
            waiting -= number
        for _ in range(len(self.lists)):
            many = self.lists.popleft()
            payloads = self._encode(many, content_of(many.prediction_id))
            yield Batch(len(many.answer.labels), many.size, payloads)

    def encode(
        self, answer: Predictions, prediction_id: bytes, at_us: int, latency_ms: float, first: int = 0
    ) -> Iterator[bytes]:
        """Yield some rows of a table as payloads; `first` is the number of rows before them."""
        many = Many(answer, prediction_id, at_us, latency_ms, size=0)
        return (payload for _, payload in self._encode(many, prediction_id, first))

    def _encode(self, many: Many, prediction_id: bytes, first: int = 0) -> Iterator[tuple[Kind, bytes]]:
        answer = many.answer
        most, outside = self.format.rows_in_block, answer.outside.sum(axis=1)
        for start in range(0, len(answer.labels), most):
            some = slice(start, start + most)
            labels = answer.labels[some]
            kind, shadow = self._answer_again(answer.rows[some], labels)
            payload = kind.format.encode(
                ids=prediction_id,
                index=np.arange(first + start, first + start + len(labels)),
                at=many.at_us,
                labels=labels,
                latency_ms=many.latency_ms,
                outside=outside[some],
                features=self._logged(answer.rows[some]),
                probabilities=answer.probabilities[some],
                shadow=shadow,
            )
            yield kind, payload

    def _encode_singles(self, singles: list[Single]) -> Iterator[tuple[Kind, bytes]]:
        rows: Any = np.frombuffer(b"".join(singles), self._packed)
        kind, shadow = self._answer_again(rows["features"], rows["label"])
        payload = kind.format.encode(
            ids=content_of(rows["id"].tobytes()),
            index=_FIRST,
            at=rows["at"] // 1000,
            labels=rows["label"],
            latency_ms=rows["latency"],
            outside=rows["outside"],
            features=self._logged(rows["features"]),
            probabilities=rows["probabilities"],
            shadow=shadow,
        )
        yield kind, payload

    def _answer_again(self, rows: NDArray[np.floating], labels: NDArray[np.integer]) -> tuple[Kind, Labels | None]:
        """Return the answers of the version in the shadow, if there are any, and the kind of the rows with them."""
        found = self._shadow.answer(rows, labels) if self._shadow else None
        return (self._plain if found is None else self._shadowed), found

    def _logged(self, features: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the values without those of the columns that are left out."""
        if self._left_out:
            features = features.copy()
            features[:, self._left_out] = np.nan
        return features

"""Segments: the files that carry predictions, truth and events from the service to the shipper.

    MAGIC, then the header: u32 length, u32 crc32, JSON
    blocks:                 u32 length, u32 crc32 of the length, u32 crc32 of the payload, payload
    an empty block ends a segment that is complete

Numbers are big-endian. A process that dies leaves a segment without its end, whose last block may be cut off; the
blocks before it are whole. Anything else that doesn't fit is damage.
"""

import re
import struct
from collections.abc import Iterator
from datetime import datetime
from typing import IO, Annotated, Final, Literal, NamedTuple, Self
from uuid import UUID
from zlib import crc32

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from contract.manifest import MAX_CLASSES, MAX_FEATURES, Contract
from contract.schema import Category, LogicalType

Kind = Literal["predictions", "feedback", "events"]

MAGIC: Final = b"PGSEG1\n"
MAX_HEADER_BYTES: Final = 16 * 1024 * 1024
MAX_BLOCK_BYTES: Final = 16 * 1024 * 1024
BLOCK_BYTES: Final = 1024 * 1024
"""Larger blocks have no use; one row may need more."""

OPEN: Final = "open"
READY: Final = "ready"
DAMAGED: Final = "damaged"
COUNTERS: Final = "counters"
"""Folders of a spool."""

PART: Final = ".part"
"""Suffix of a segment of one request, which is worth nothing before it is complete."""

_HEAD: Final = struct.Struct(">II")
_BLOCK: Final = struct.Struct(">III")
_NAME: Final = re.compile(r"(predictions|feedback|events)-([0-9]{13})-([0-9a-f]{8,32})-(0|[1-9][0-9]{0,11})\.seg")


class DamageError(Exception):
    """A segment holds something else than what was written."""


class SegmentName(NamedTuple):
    """The name of a segment, which no other one ever has.

    Attributes:
        created_ms: milliseconds since 1970.
        process: random hex digits of the process that wrote it.
        number: position among the segments of the process.
    """

    kind: Kind
    created_ms: int
    process: str
    number: int

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Return the parts of a file's name; None if it isn't that of a segment."""
        found = _NAME.fullmatch(name)
        return cls(found[1], int(found[2]), found[3], int(found[4])) if found else None  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.kind}-{self.created_ms:013d}-{self.process}-{self.number}.seg"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LoggedFeature(_Part):
    """A feature as the model saw it: a number, or the position of a category; NaN if it is missing or left out.

    Attributes:
        min, max: range of a number in the training data.
    """

    name: str
    type: LogicalType
    categories: tuple[Category, ...] | None = None
    min: float | None = None
    max: float | None = None


class LoggedContract(_Part):
    """The columns and classes that give the numbers of a row their meaning."""

    name: str
    target: str
    classes: Annotated[tuple[str, ...], Field(min_length=1, max_length=MAX_CLASSES)]
    features: Annotated[tuple[LoggedFeature, ...], Field(min_length=1, max_length=MAX_FEATURES)]

    @classmethod
    def of(cls, contract: Contract) -> Self:
        """Return the part of a contract that the log needs."""
        features = [
            LoggedFeature(name=each.name, type=each.type, categories=each.categories, min=each.min, max=each.max)
            for each in contract.features
        ]
        return cls(name=contract.name, target=contract.target.name, classes=contract.classes, features=tuple(features))


class PredictionsHeader(_Part):
    """Header of a segment with predictions, all of one model version; `contract.rows` has their format.

    Attributes:
        contract: `Contract.digest` in hex.
        fraction: share of the requests that are logged.
        prediction_id, at_us: id and time (microseconds since 1970) of a table, whose rows all have them.
        shadow: the version that answered all rows in the shadow of this one; None for none, as in segments from before.
    """

    kind: Literal["predictions"] = "predictions"
    format: Literal[1] = 1
    created_at: datetime
    model: Annotated[str, Field(min_length=1, max_length=256)]
    version: Annotated[str, Field(min_length=1, max_length=32)]
    contract: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    document: LoggedContract
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    prediction_id: UUID | None = None
    at_us: int | None = None
    shadow: Annotated[str, Field(min_length=1, max_length=32)] | None = Field(
        default=None, exclude_if=lambda version: version is None
    )


class LinesHeader(_Part):
    """Header of a segment whose payload is JSON, one object a line; `contract.lines` has their fields."""

    kind: Literal["feedback", "events"]
    format: Literal[1] = 1
    created_at: datetime


SegmentHeader = PredictionsHeader | LinesHeader

_HEADER: Final[TypeAdapter[SegmentHeader]] = TypeAdapter(Annotated[SegmentHeader, Field(discriminator="kind")])


def encode_header(header: SegmentHeader) -> bytes:
    """Return the beginning of a segment."""
    content = header.model_dump_json().encode()
    return MAGIC + _HEAD.pack(len(content), crc32(content)) + content


def encode_block(payload: bytes) -> bytes:
    """Return a block; an empty one ends the segment."""
    length = len(payload).to_bytes(4)
    return _BLOCK.pack(len(payload), crc32(length), crc32(payload)) + payload


END: Final = encode_block(b"")


class SegmentReader:
    """Reads a segment, block by block.

    Attributes:
        header: what the blocks are.
        whole_bytes: bytes of the header and of the whole blocks that were read so far.
        is_complete: whether the segment's end was read; without it, later blocks may have been lost.
    """

    def __init__(self, file: IO[bytes]) -> None:
        """Read the header.

        Raises:
            DamageError: it isn't whole, or isn't one.
        """
        self._file = file
        start = file.read(len(MAGIC) + _HEAD.size)
        if len(start) < len(MAGIC) + _HEAD.size or not start.startswith(MAGIC):
            raise DamageError(f"it doesn't begin as a segment does, but with {start[:16]!r}")
        length, digest = _HEAD.unpack_from(start, len(MAGIC))
        content = file.read(length) if length <= MAX_HEADER_BYTES else b""
        if len(content) < length or crc32(content) != digest:
            raise DamageError("its header isn't whole")
        try:
            self.header: SegmentHeader = _HEADER.validate_json(content)
        except ValidationError as error:
            raise DamageError(f"its header can't be read: {error.errors(include_url=False)[0]}") from error
        self.whole_bytes = len(start) + length
        self.is_complete = False

    def blocks(self) -> Iterator[bytes]:
        """Yield the payloads of the whole blocks.

        Raises:
            DamageError: a block was changed, or something follows the end.
        """
        while len(head := self._file.read(_BLOCK.size)) == _BLOCK.size:
            length, digest_of_length, digest = _BLOCK.unpack(head)
            if crc32(head[:4]) != digest_of_length or length > MAX_BLOCK_BYTES:
                raise DamageError(f"the block at byte {self.whole_bytes} has a wrong length")
            payload = self._file.read(length)
            if len(payload) < length:
                return
            if crc32(payload) != digest:
                raise DamageError(f"the block at byte {self.whole_bytes} isn't what was written: its checksum differs")
            self.whole_bytes += len(head) + length
            if not length:
                if self._file.read(1):
                    raise DamageError(f"something follows its end at byte {self.whole_bytes}")
                self.is_complete = True
                return
            yield payload

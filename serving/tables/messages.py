"""Messages between the service, the launcher and the workers of tables."""

from enum import StrEnum
from typing import Annotated

import msgspec

from serving.log.table import LogJob

MAX_MESSAGE_BYTES = 64 * 1024


class Reason(StrEnum):
    """Reason why a table has no answer although nobody refused it."""

    CRASHED = "crashed"
    FAILED = "failed"
    KILLED = "killed"
    LOST = "lost"
    MEMORY = "memory"
    TIME = "time"


class Limits(msgspec.Struct, frozen=True):
    """Limits of one table."""

    rows: int
    answer_bytes: int
    memory_bytes: int
    processor_seconds: float
    seconds: float


class Job(msgspec.Struct, frozen=True):
    """A table to answer. Three files come with it, body, answer, and the socket for the outcome, and that of its log.

    Attributes:
        prediction_id: id that the answer has, if its media type has a place for it; empty for none.
    """

    media_type: str
    limits: Limits
    prediction_id: str = ""
    log: LogJob | None = None


class Done(msgspec.Struct, frozen=True, tag=True):
    """The answer is in its file."""

    labels: list[Annotated[int, msgspec.Meta(ge=0)]]
    """Number of rows with each label."""


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The table is wrong."""

    invalid: str
    """`Invalid` as JSON."""


class TooLarge(msgspec.Struct, frozen=True, tag=True):
    """The table or its answer is larger than its limit."""

    detail: str


class NoSpace(msgspec.Struct, frozen=True, tag=True):
    """A file can't be written."""

    detail: str


class NoRoom(msgspec.Struct, frozen=True, tag=True):
    """The log can't be written, which needs as many bytes."""

    needed: int
    detail: str


class Ended(msgspec.Struct, frozen=True, tag=True):
    """The worker ended without an answer."""

    reason: Reason
    detail: str


Outcome = Done | Refused | TooLarge | NoSpace | NoRoom | Ended

encode = msgspec.json.Encoder().encode
decode_job = msgspec.json.Decoder(Job).decode
decode_outcome = msgspec.json.Decoder(Outcome).decode

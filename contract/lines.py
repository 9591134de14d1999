"""Lines of the segments `feedback` and `events`: JSON objects, each followed by a newline."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.segments import DamageError

MAX_ROW_INDEX: Final = 2**31 - 1

MAX_TEXT: Final = 2000
"""Most characters of a text of an event."""

MAX_WHO: Final = 200
"""Most characters of the name of who said the truth."""

ROW_ID: Final = r"(?i)^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?:/([0-9]{1,10}))?$"
"""Pattern of the id of a request, or of one of its rows: `id/index`."""

Text = Annotated[str, Field(max_length=MAX_TEXT)]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)


class Truth(_Line):
    """The true class of a row, as somebody said it.

    Attributes:
        label: name of the class; `class` in the line.
        at: time from which the truth holds, by who sent it; `received_at` if that said nothing.
    """

    prediction_id: UUID
    row_index: Annotated[int, Field(ge=0, le=MAX_ROW_INDEX)]
    label: Annotated[str, Field(alias="class", min_length=1, max_length=500)]
    at: datetime
    who: Annotated[str, Field(max_length=MAX_WHO)]
    received_at: datetime
    model: Annotated[str, Field(min_length=1, max_length=256)]


class Event(_Line):
    """An event of the service.

    Attributes:
        model, version: empty for what concerns none.
        reason: code of a refusal.
        origin: place that a version was loaded from.
        asked_at: time at which the registry was asked, whose answer this comes from.
    """

    at: datetime
    host: Text
    model: Text = ""
    version: Text = ""
    event: Literal["started", "stopped", "swapped", "refused", "shadowed", "shadow_refused", "shadow_ended"]
    reason: Text = ""
    detail: Text = ""
    origin: Text = ""
    asked_at: datetime | None = None


LineT = TypeVar("LineT", Truth, Event)


def encode_line(line: Truth | Event) -> bytes:
    """Return a line with its newline."""
    return line.model_dump_json().encode() + b"\n"


def decode_lines(kind: type[LineT], payload: bytes) -> Iterator[LineT]:
    """Yield the lines of a block.

    Raises:
        DamageError: one isn't of this kind.
    """
    for line in payload.splitlines():
        try:
            yield kind.model_validate_json(line)
        except ValidationError as error:
            raise DamageError(f"a line can't be read: {error.errors(include_url=False)[0]}") from error

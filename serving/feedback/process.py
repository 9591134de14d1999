"""Read a large table of truths: `python -m serving.feedback.process BODY SEGMENT`, two open files.

Facts about the model come by stdin, the outcome goes to stdout. A process of its own: checking a million rows takes
seconds of a processor, in which the service would answer nothing.
"""

import os
import resource
import sys
from datetime import UTC, datetime
from typing import IO

import msgspec

from contract.segments import encode_block
from serving.codecs.errors import InvalidError
from serving.feedback.csv_body import TooManyError, read_csv
from serving.feedback.truths import Truths

NICENESS = 10


class Facts(msgspec.Struct, frozen=True):
    """Facts about the model, and the limits of the process.

    Attributes:
        received_at: seconds since 1970.
        room: most bytes that may be written.
        seconds: most seconds of processor time.
    """

    model: str
    classes: list[str]
    received_at: float
    room: int
    seconds: int


class Accepted(msgspec.Struct, frozen=True, tag=True):
    """All truths are in the segment."""

    rows: int


class Refused(msgspec.Struct, frozen=True, tag=True):
    """A truth isn't sound: `Invalid` as JSON."""

    invalid: str


class TooLarge(msgspec.Struct, frozen=True, tag=True):
    """The table is larger than it may be."""

    detail: str


class NoRoom(msgspec.Struct, frozen=True, tag=True):
    """The segment can't be written."""

    detail: str


Outcome = Accepted | Refused | TooLarge | NoRoom

encode = msgspec.json.Encoder().encode
decode_facts = msgspec.json.Decoder(Facts).decode
decode_outcome = msgspec.json.Decoder(Outcome).decode


def main() -> None:
    """Read the table, write the segment and tell the outcome."""
    facts = decode_facts(sys.stdin.buffer.read())
    body, segment = map(int, sys.argv[1:])
    os.nice(NICENESS)
    _limit(resource.RLIMIT_CPU, facts.seconds)
    _limit(resource.RLIMIT_FSIZE, facts.room)
    with os.fdopen(body, "rb") as table, os.fdopen(segment, "ab", buffering=0) as file:
        outcome = _read(facts, table, file)
    sys.stdout.buffer.write(encode(outcome))


def _limit(kind: int, most: int) -> None:
    hard = resource.getrlimit(kind)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def _read(facts: Facts, table: IO[bytes], file: IO[bytes]) -> Outcome:
    truths = Truths(facts.model, facts.classes, datetime.fromtimestamp(facts.received_at, UTC))
    try:
        for payload in read_csv(table, truths):
            rest = memoryview(encode_block(payload))
            while rest:
                rest = rest[file.write(rest) :]
    except InvalidError as error:
        return Refused(error.invalid.model_dump_json())
    except TooManyError as error:
        return TooLarge(str(error))
    except OSError as error:
        return NoRoom(str(error))
    return Accepted(len(truths))


if __name__ == "__main__":
    main()

"""Tables damaged by chance are answered or refused, and the next one is answered as before."""

from itertools import islice

import pytest

from benchmarks.damaged_tables import ROWS, damaged, sound
from benchmarks.thrift import integers, signed, varint
from serving.codecs.errors import InvalidError
from serving.codecs.media_types import PARQUET
from serving.inference.model import LoadedModel
from serving.tables.pool import TooLargeError
from tests.serving.tables.conftest import Workshop

pytestmark = pytest.mark.programs

BODIES = 150


def test_damaged_tables_are_answered_or_refused(workshop: Workshop, model: LoadedModel) -> None:
    tables = [(media_type, bodies[0]) for media_type, bodies in sound().items()]
    before = [workshop.answer(model, *table) for table in tables]
    refused = 0
    for body in islice(damaged(seed=1), BODIES):
        try:
            workshop.answer(model, *body)
        except (InvalidError, TooLargeError):
            refused += 1
    assert refused > BODIES / 4
    assert [workshop.answer(model, *table) for table in tables] == before


@pytest.mark.parametrize("body", sound()[PARQUET][:2])
def test_numbers_of_a_footer_are_found(body: bytes) -> None:
    footer = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
    found = [body[begin:end] for begin, end in integers(body, footer)]
    # The rows of the file, of its row group, and of its four columns.
    assert found.count(varint(signed(ROWS))) >= 6
    assert varint(signed(4)) in found  # the offset of the first page


@pytest.mark.parametrize("value", [0, 1, -1, 63, -64, 64, 300, 2**31, -(2**63), 2**63 - 1])
def test_numbers_are_written_as_they_are_found(value: int) -> None:
    written = b"\x16" + varint(signed(value)) + b"\x00"  # a struct with an integer as its first field
    assert integers(written, 0) == [(1, len(written) - 1)]

"""Tables damaged by chance are answered or refused, and the next one is answered as before."""

from itertools import islice

from benchmarks.damaged_tables import damaged, sound
from serving.codecs.errors import InvalidError
from serving.inference.model import LoadedModel
from serving.tables.pool import TooLargeError
from tests.serving.tables.conftest import Workshop

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

"""Answer a table: read and check all of its rows, predict them, write the answer.

All rows are checked before the first is predicted: an error in the last row costs no predictions.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from io import SEEK_END, BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO, cast

import numpy as np

from serving.codecs.base import Predictions
from serving.codecs.codec import TableCodec
from serving.codecs.errors import InvalidError, TooManyRowsError, problem
from serving.codecs.example import encoded, example, example_csv
from serving.codecs.explain import explain_values
from serving.codecs.media_types import ARROW, CSV, has_codec, table_codec
from serving.inference.blocks import Labels
from serving.inference.model import LoadedModel
from serving.inference.prediction import predict
from serving.log.table import TableRows

IN_MEMORY_BYTES = 1024 * 1024
CHUNK_ROWS = 16_384
FLOAT32_BYTES = 4


def answer_table(
    model: LoadedModel,
    media_type: str,
    body: IO[bytes],
    answer: IO[bytes],
    max_rows: int,
    prediction_id: str = "",
    log: TableRows | None = None,
) -> list[int]:
    """Write the answer, a table of the same media type with a row for each row; return the number of each label.

    Raises:
        InvalidError, TooManyRowsError: the table can't be answered.
        NoRoomError: the log can't be written.
        OSError: a file can't be written.
    """
    codec = table_codec(media_type, model.contract, model.version, prediction_id)
    rows = _checked_rows(codec, body, max_rows)
    labels = np.zeros(len(model.contract.classes), dtype=np.int64)
    if log:
        log.expect(rows.seek(0, SEEK_END) // (FLOAT32_BYTES * len(model.contract.features)))
        rows.seek(0)
    for piece in codec.encode(_predictions(model, rows, labels, log)):
        answer.write(piece)
    return labels.tolist()


def warm_up(model: LoadedModel) -> None:
    """Answer a row: what that imports, initialises and copies isn't left to the first table."""
    fields = model.json.fields
    row = np.array(encoded(fields, example(fields)), dtype=np.float32)
    answer_table(model, CSV, BytesIO(example_csv(fields).encode()), BytesIO(), max_rows=1)
    if has_codec(ARROW):  # the first array looks for pandas; reading would start threads, which a fork hasn't
        list(table_codec(ARROW, model.contract, model.version).encode([predict(model, row[np.newaxis])]))


def _checked_rows(codec: TableCodec, body: IO[bytes], max_rows: int) -> IO[bytes]:
    """Return a file of float32 rows, all of which the model accepts."""
    with ExitStack() as undo:
        rows = cast(IO[bytes], undo.enter_context(SpooledTemporaryFile(IN_MEMORY_BYTES)))
        count = 0
        for values in codec.decode(body):
            if not codec.fields.usable(values).all():
                raise InvalidError(explain_values(values, count, codec.fields))
            if count + len(values) > max_rows:
                raise TooManyRowsError(f"the table has more than {max_rows} rows: send several")
            rows.write(values.astype(np.float32).tobytes())
            count += len(values)
        if not count:
            raise InvalidError(problem("too_short", "the table has no rows"))
        rows.seek(0)
        undo.pop_all()
    return rows


def _predictions(model: LoadedModel, rows: IO[bytes], labels: Labels, log: TableRows | None) -> Iterator[Predictions]:
    """Predict and log the rows, some thousands at a time, and add the number of each label to `labels`."""
    width = len(model.contract.features)
    with rows:
        while chunk := rows.read(CHUNK_ROWS * FLOAT32_BYTES * width):
            first = int(labels.sum())
            found = predict(model, np.frombuffer(chunk, dtype=np.float32).reshape(-1, width), first)
            if log:
                log.append(found, first)
            labels += np.bincount(found.labels, minlength=len(labels))
            yield found

"""Tables of any length, in CSV, Arrow or Parquet: memory stays the same however many rows they have.

A table is put into a temporary file and checked as a whole before the first row is answered: most clients
send all of it before they read, and an answer that has begun can't say any more what is wrong.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, cast

import numpy as np
from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from serving.api.body import receive
from serving.api.responses import RequestError, not_ready, settings_of, unavailable, watcher_of
from serving.codecs.errors import MAX_PROBLEMS, Invalid, InvalidError, Problem, problem, wrong_value
from serving.codecs.measurements import FLOAT32_OVERFLOW, Values, usable
from serving.inference.contract import FEATURES
from serving.inference.model import LoadedModel
from serving.inference.prediction import Answer, answer

CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
MEDIA_TYPES = (CSV, ARROW, PARQUET)

IN_MEMORY_BYTES = 1024 * 1024
CHUNK_ROWS = 16_384
DISK_RETRY_SECONDS = 60

ROW_BYTES = 4 * len(FEATURES)


@dataclass(frozen=True, slots=True)
class Format:
    """How a table is written. `read` raises `InvalidError` for what isn't one."""

    read: Callable[[IO[bytes]], Iterator[Values]]
    write: Callable[[Iterable[Answer], str], Iterator[bytes]]
    """From answers and the model's version to the pieces of a file."""


def format_of(media_type: str) -> Format:
    """Return how a table of this media type is written.

    Raises:
        RequestError: what it takes isn't installed.
    """
    if media_type == CSV:
        from serving.codecs import csv

        return Format(csv.read, csv.write)
    try:
        from serving.codecs import arrow  # pyarrow is large: who doesn't need it doesn't load it
    except ImportError:
        raise RequestError(415, f"{media_type} needs pyarrow, which isn't installed here: send {CSV}") from None
    if media_type == ARROW:
        return Format(arrow.read_stream, arrow.write_stream)
    return Format(arrow.read_parquet, arrow.write_parquet)


async def predict_table(request: Request, media_type: str) -> Response:
    """Answer a table with a table of the same media type, a row for each row.

    Raises:
        RequestError, InvalidError: it can't be answered.
    """
    table, limit = format_of(media_type), settings_of(request).max_table_bytes
    if watcher_of(request).model is None:
        return not_ready(request)
    with SpooledTemporaryFile(IN_MEMORY_BYTES) as body:
        try:
            await receive(request, limit, body.write, settings_of(request).body_seconds, each_piece=True)
            body.seek(0)
            rows = await run_in_threadpool(_checked_rows, table, cast(IO[bytes], body), limit)
        except OSError as error:
            return unavailable("disk", f"the table can't be put into a temporary file: {error}", DISK_RETRY_SECONDS)
    model = watcher_of(request).model  # The one of now: the upload may have taken its time.
    assert model is not None  # noqa: S101 - a model is replaced, but never taken away
    headers = {"X-Model-Version": model.version}
    return StreamingResponse(table.write(_answers(model, rows), model.version), headers=headers, media_type=media_type)


def _checked_rows(table: Format, body: IO[bytes], limit: int) -> IO[bytes]:
    """Return a file of float32 rows, all of which the model may see; `limit` is its size in bytes."""
    with ExitStack() as undo:
        rows = cast(IO[bytes], undo.enter_context(SpooledTemporaryFile(IN_MEMORY_BYTES)))
        count = 0
        for values in table.read(body):
            if not usable(values).all():
                raise InvalidError(_explain(values, count))
            if (count + len(values)) * ROW_BYTES > limit:
                raise RequestError(413, f"the table has more than {limit // ROW_BYTES} rows: send several")
            rows.write(values.astype(np.float32).tobytes())
            count += len(values)
        if not count:
            raise InvalidError(problem("too_short", "the table has no rows"))
        rows.seek(0)
        undo.pop_all()
    return rows


def _answers(model: LoadedModel, rows: IO[bytes]) -> Iterator[Answer]:
    with rows:
        while chunk := rows.read(CHUNK_ROWS * ROW_BYTES):
            yield answer(model, np.frombuffer(chunk, dtype=np.float32).reshape(-1, len(FEATURES)))


def _explain(values: Values, first: int) -> Invalid:
    """Say which values the model may not see; `first` is the number of rows before these."""
    names, problems = list(FEATURES), []
    for row, column in np.argwhere(~usable(values))[:MAX_PROBLEMS]:
        value, name, index = float(values[row, column]), names[column], first + int(row)
        text = f"[{index}]: {wrong_value(name, value, kind := _kind(value))}"
        problems.append(Problem(loc=["body", index, name], msg=text, type=kind))
    return Invalid(detail=problems)


def _kind(value: float) -> str:
    if not np.isfinite(value):
        return "finite_number"
    return "less_than" if value >= FLOAT32_OVERFLOW else "greater_than"

"""Answer tables of any length, in CSV, Arrow or Parquet, in constant memory.

A table is put into a temporary file and checked as a whole before the first row is answered: most clients send all of
the table before they read, and an answer that has begun can't report an error any more.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import IO, cast

import numpy as np
from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from contract.manifest import Contract
from serving.api.body import receive
from serving.api.responses import RequestError, unavailable
from serving.codecs.base import FLOAT32_OVERFLOW, Predictions, TableCodec, Values, usable
from serving.codecs.errors import MAX_PROBLEMS, Invalid, InvalidError, Problem, problem, wrong_value
from serving.codecs.media_types import CSV, table_codec
from serving.inference.model import LoadedModel
from serving.inference.prediction import predict
from serving.settings import Settings

IN_MEMORY_BYTES = 1024 * 1024
CHUNK_ROWS = 16_384
DISK_RETRY_SECONDS = 60
FLOAT32_BYTES = 4


async def predict_table(request: Request, media_type: str, model: LoadedModel, settings: Settings) -> Response:
    """Answer a table with a table of the same media type, a row for each row.

    Raises:
        RequestError, InvalidError: the table can't be answered.
    """
    limit, headers = settings.max_table_bytes, {"X-Model-Version": model.version}
    try:
        codec = table_codec(media_type, model.contract, model.version)
    except ImportError:
        raise RequestError(415, f"{media_type} needs pyarrow, which isn't installed here: send {CSV}") from None
    with SpooledTemporaryFile(IN_MEMORY_BYTES) as body:
        try:
            await receive(request, limit, body.write, settings, settings.table_seconds)
            body.seek(0)
            rows = await run_in_threadpool(_checked_rows, codec, cast(IO[bytes], body), model.contract, limit)
        except OSError as error:
            return unavailable("disk", f"the table can't be put into a temporary file: {error}", DISK_RETRY_SECONDS)
    return StreamingResponse(codec.encode(_predictions(model, rows)), headers=headers, media_type=media_type)


def _checked_rows(codec: TableCodec, body: IO[bytes], contract: Contract, limit: int) -> IO[bytes]:
    """Return a file of float32 rows, all of which the model accepts; `limit` is its size in bytes."""
    row_bytes = FLOAT32_BYTES * len(contract.features)
    with ExitStack() as undo:
        rows = cast(IO[bytes], undo.enter_context(SpooledTemporaryFile(IN_MEMORY_BYTES)))
        count = 0
        for values in codec.decode(body):
            if not usable(values).all():
                raise InvalidError(_explain(values, count, contract))
            if (count + len(values)) * row_bytes > limit:
                raise RequestError(413, f"the table has more than {limit // row_bytes} rows: send several")
            rows.write(values.astype(np.float32).tobytes())
            count += len(values)
        if not count:
            raise InvalidError(problem("too_short", "the table has no rows"))
        rows.seek(0)
        undo.pop_all()
    return rows


def _predictions(model: LoadedModel, rows: IO[bytes]) -> Iterator[Predictions]:
    width = len(model.contract.features)
    with rows:
        while chunk := rows.read(CHUNK_ROWS * FLOAT32_BYTES * width):
            yield predict(model, np.frombuffer(chunk, dtype=np.float32).reshape(-1, width))


def _explain(values: Values, first: int, contract: Contract) -> Invalid:
    """Describe the values that the model doesn't accept; `first` is the number of rows before these."""
    units, problems = {feature.name: feature.unit for feature in contract.features}, []
    names = list(units)
    for row, column in np.argwhere(~usable(values))[:MAX_PROBLEMS]:
        value, name, index = float(values[row, column]), names[column], first + int(row)
        kind = _kind(value)
        text = f"[{index}]: {wrong_value(name, value, kind, units)}"
        problems.append(Problem(loc=["body", index, name], msg=text, type=kind))
    return Invalid(detail=problems)


def _kind(value: float) -> str:
    if not np.isfinite(value):
        return "finite_number"
    return "less_than" if value >= FLOAT32_OVERFLOW else "greater_than"

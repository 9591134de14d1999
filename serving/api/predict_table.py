"""Answer tables of any length, in CSV, Arrow or Parquet, in constant memory.

A table is put into a temporary file, which a worker process reads, and so is its answer: most clients send all of the
table before they read, and an answer that has begun can't report an error any more.
"""

import os
from collections.abc import Iterator
from tempfile import TemporaryFile
from time import perf_counter
from typing import IO

from fastapi import Request, Response
from starlette.responses import StreamingResponse

from serving.api.body import receive, while_connected
from serving.api.responses import RequestError, log_of, tables_of, unavailable
from serving.codecs.media_types import CSV, JSON, has_codec
from serving.inference.model import LoadedModel
from serving.settings import Settings
from serving.tables.logged import LoggedTables
from serving.tables.pool import LostError, TooLargeError

PIECE_BYTES = 256 * 1024
DISK_RETRY_SECONDS = 60
LOST_RETRY_SECONDS = 1


async def predict_table(
    request: Request, media_type: str, model: LoadedModel, settings: Settings, scoring: str = ""
) -> Response:
    """Answer a table with a table of the same media type, a row for each row.

    Args:
        scoring: its media type in MLflow's scoring protocol, to answer in that; empty for a table.

    Raises:
        RequestError, InvalidError: the table can't be answered.
    """
    started, path = perf_counter(), request.scope["path"]
    if not has_codec(media_type):
        raise RequestError(415, f"{media_type} needs pyarrow, which isn't installed here: send {CSV}")
    try:
        with TemporaryFile() as body:
            await receive(request, settings.max_table_bytes, body.write, settings, settings.table_seconds)
            answering = _answer(request, scoring or media_type, model, body, started)
            answer, prediction_id = await while_connected(request, answering)
    except TooLargeError as error:
        raise RequestError(413, str(error)) from None
    except LostError as error:
        return unavailable("workers", str(error), LOST_RETRY_SECONDS, path)
    except OSError as error:
        text = f"the table can't be put into a temporary file: {error}"
        return unavailable("disk", text, DISK_RETRY_SECONDS, path)
    size = os.fstat(answer.fileno()).st_size
    headers = {"X-Model-Version": model.version, "Content-Length": str(size)}
    if prediction_id:
        headers["X-Prediction-Id"] = prediction_id
    if scoring:
        media_type = JSON
    if size > PIECE_BYTES:
        return StreamingResponse(_pieces(answer), headers=headers, media_type=media_type)
    with answer:
        return Response(answer.read(), headers=headers, media_type=media_type)


async def _answer(
    request: Request, media_type: str, model: LoadedModel, body: IO[bytes], started: float
) -> tuple[IO[bytes], str | None]:
    """Return a file with the answer, and the prediction's id if there is a log."""
    tables, log = tables_of(request), log_of(request)
    if log is None:
        return await tables.answer(model, media_type, body), None
    return await LoggedTables(tables, log).answer(model, media_type, body, started)


def _pieces(answer: IO[bytes]) -> Iterator[bytes]:
    with answer:
        while piece := answer.read(PIECE_BYTES):
            yield piece

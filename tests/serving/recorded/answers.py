"""Answer the recorded requests within this process."""

import hashlib
from io import BytesIO
from pathlib import Path

import pyarrow.parquet as pq
from pydantic_core import to_json

from serving.api.predict_json import answer_json
from serving.codecs.errors import InvalidError
from serving.codecs.media_types import JSON, PARQUET
from serving.inference.model import LoadedModel, Release, load
from serving.registry.responses import ModelVersion
from serving.tables.answering import answer_table
from tests.serving.publisher import digests
from tests.serving.recorded.requests import Request, recorded

MAX_ROWS = 25
FOLDER = Path(__file__).parent


def version(folder: Path) -> LoadedModel:
    """Return the version whose files are in a folder, as number 1."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}
    found = ModelVersion(name="penguins_rf", version="1", creation_timestamp=1, source="models:/m-1")
    return load(Release(found, digests(files), None), files, "registry")


def answer(model: LoadedModel, request: Request) -> bytes:
    """Return the answer to a request, or its error."""
    media_type, body = request
    try:
        if media_type == JSON:
            return answer_json(body, model, MAX_ROWS)[1]
        sink = BytesIO()
        answer_table(model, media_type, BytesIO(body), sink, MAX_ROWS)
    except InvalidError as error:
        return to_json(error.invalid)
    except Exception as error:  # noqa: BLE001 - too many rows
        return f"{type(error).__name__}: {error}".encode()
    # Parquet names the version of pyarrow that wrote it.
    return repr(pq.read_table(sink).to_pydict()).encode() if media_type == PARQUET else sink.getvalue()


def digests_of_answers(model: LoadedModel) -> dict[str, str]:
    """Return the digest of the answers to each kind of request."""
    found = {}
    for kind, request in recorded():
        found.setdefault(kind, hashlib.sha256()).update(hashlib.sha256(answer(model, request)).digest())
    return {kind: digest.hexdigest() for kind, digest in found.items()}

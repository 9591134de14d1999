"""MLflow's files in S3, sent with less work for each of the small ones that models consist of."""

import asyncio
import mimetypes
import os
import posixpath
import tempfile
from collections.abc import AsyncIterable
from typing import IO, Any, BinaryIO

from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ARTIFACT_STREAM_CHUNK_SIZE, StreamUploadMixin
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

SMALL = 8 * 1024 * 1024
"""Bytes up to which a file stays in memory and is sent in one request."""


class Bucket(S3ArtifactRepository, StreamUploadMixin):
    """MLflow's bucket. A small file needs no folder on disk, and none of the three threads of a transfer."""

    async def log_artifact_from_async_stream(
        self, chunks: AsyncIterable[bytes], artifact_file_name: str, artifact_path: str | None = None
    ) -> None:
        """Store the body of a request as a file."""
        with tempfile.SpooledTemporaryFile(SMALL) as file:
            size = 0
            async for chunk in chunks:
                size += len(chunk)
                if size <= SMALL:
                    file.write(chunk)
                else:
                    await asyncio.to_thread(file.write, chunk)
            await asyncio.to_thread(self._send, file, size, artifact_file_name, artifact_path)

    def log_artifact_from_stream(
        self, stream: BinaryIO, artifact_file_name: str, artifact_path: str | None = None
    ) -> None:
        """Store what a stream has as a file."""
        with tempfile.SpooledTemporaryFile(SMALL) as file:
            while chunk := stream.read(ARTIFACT_STREAM_CHUNK_SIZE):
                file.write(chunk)
            self._send(file, file.tell(), artifact_file_name, artifact_path)

    def _send(self, file: IO[bytes], size: int, name: str, folder: str | None) -> None:
        repository: Any = self  # its methods have no types
        bucket, root = repository.parse_s3_compliant_uri(repository.artifact_uri)
        key = posixpath.join(root, folder or "", posixpath.basename(name))
        kind, encoding = mimetypes.guess_type(name)
        options: dict[str, Any] = {"ContentType": kind} if kind else {}
        options |= {"ContentEncoding": encoding} if encoding else {}
        options |= repository._bucket_owner_params | (repository.get_s3_file_upload_extra_args() or {})
        file.seek(0)
        if size <= SMALL:
            repository._get_s3_client().put_object(Bucket=bucket, Key=key, Body=file.read(), **options)
        else:
            repository._get_s3_client().upload_fileobj(file, bucket, key, ExtraArgs=options)


def artifacts_at(artifact_uri: str, **others: Any) -> Bucket:
    """Return MLflow's repository for a place in the server's bucket.

    A client chooses the place of an experiment's artifacts and of a version's files: a folder of the DAGs would run
    what it uploads, and other buckets would be read and written with this server's keys.

    Raises:
        MlflowException: the place is elsewhere.
    """
    from mlflow.server.constants import ARTIFACTS_DESTINATION_ENV_VAR  # while this module is imported, it can't be yet

    own = os.environ[ARTIFACTS_DESTINATION_ENV_VAR].rstrip("/")
    if not f"{artifact_uri}/".startswith(f"{own}/") or ".." in artifact_uri.split("/"):
        raise MlflowException.invalid_parameter_value(
            f"this server keeps artifacts in its bucket only, not in {artifact_uri}"
        )
    return Bucket(artifact_uri, **others)

"""Objects of a bucket, by the S3 API: models and other artifacts of MLflow."""

import mimetypes
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final, TypeVar, cast

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from backup.archive import CHUNK
from backup.errors import BackupError
from backup.stack import Bucket, Report

_THREADS: Final = 4
_AHEAD: Final = 16
_IN_MEMORY: Final = CHUNK
_AT_ONCE: Final = 8 * CHUNK

Fetched = tuple[str, int, IO[bytes]]
Item = TypeVar("Item")


def counted(items: Iterable[Item], total: int, report: Report) -> Iterator[Item]:
    """Yield items, and report ten times how many of them there were."""
    step = max(1, total // 10)
    for number, item in enumerate(items):
        if number and number % step == 0:
            report("objects", f"{number:,} of {total:,}")
        yield item


class Objects:
    """The objects of one bucket. Every method may raise BackupError."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=bucket.endpoint,
            region_name="us-east-1",
            aws_access_key_id=bucket.access_key,
            aws_secret_access_key=bucket.secret_key,
            config=Config(max_pool_connections=_AHEAD, retries={"mode": "standard", "total_max_attempts": 5}),
        )

    def keys(self) -> list[str]:
        """Return the keys of all objects."""
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket.name)
            return [item["Key"] for page in pages for item in page.get("Contents", ())]
        except (BotoCoreError, ClientError) as error:
            raise self._trouble(error) from error

    def fetch(self, keys: Iterable[str], folder: Path) -> Iterator[Fetched]:
        """Yield key, size and content of each object that is still there; large ones go through a file in `folder`."""
        waiting: deque[tuple[str, Future[IO[bytes] | None]]] = deque()
        with ThreadPoolExecutor(_THREADS) as pool:
            try:
                for key in keys:
                    waiting.append((key, pool.submit(self._fetch, key, folder)))
                    if len(waiting) == _AHEAD:
                        yield from self._next(waiting)
                while waiting:
                    yield from self._next(waiting)
            finally:
                for _, future in waiting:
                    future.cancel()

    def _next(self, waiting: "deque[tuple[str, Future[IO[bytes] | None]]]") -> Iterator[Fetched]:
        key, future = waiting.popleft()
        file = future.result()
        if file is not None:
            with file:
                size = file.tell()
                file.seek(0)
                yield key, size, file

    def _fetch(self, key: str, folder: Path) -> IO[bytes] | None:
        file = cast(IO[bytes], SpooledTemporaryFile(_IN_MEMORY, dir=str(folder)))  # noqa: SIM115  who takes it closes it
        try:
            body = self._client.get_object(Bucket=self._bucket.name, Key=key)["Body"]
            for chunk in body.iter_chunks(CHUNK):
                file.write(chunk)
        except self._client.exceptions.NoSuchKey:
            return None  # deleted since it was listed
        except (BotoCoreError, ClientError) as error:
            raise self._trouble(error) from error
        return file

    def upload(self, files: Iterable[tuple[str, Path]]) -> Iterator[str]:
        """Upload files by their keys; yield each key that has arrived."""
        with ThreadPoolExecutor(_THREADS) as pool:
            futures = [pool.submit(self._upload, key, path) for key, path in files]
            try:
                for future in futures:
                    yield future.result()
            finally:
                for future in futures:
                    future.cancel()

    def _upload(self, key: str, path: Path) -> str:
        kind, encoding = mimetypes.guess_type(key)  # as MLflow does
        told = {name: value for name, value in (("ContentType", kind), ("ContentEncoding", encoding)) if value}
        try:
            if path.stat().st_size <= _AT_ONCE:  # a transfer costs more than a small object
                with path.open("rb") as file:
                    self._client.put_object(Bucket=self._bucket.name, Key=key, Body=file, **told)
            else:
                transfer = TransferConfig(use_threads=False)
                self._client.upload_file(str(path), self._bucket.name, key, ExtraArgs=told, Config=transfer)
        except (BotoCoreError, ClientError, boto3.exceptions.Boto3Error) as error:
            raise self._trouble(error) from error
        return key

    def _trouble(self, error: Exception) -> BackupError:
        return BackupError(f"S3 at {self._bucket.endpoint}: {error}")

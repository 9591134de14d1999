"""Verified copies on disk, so that the service starts without MLflow.

    <cache_dir>/<model>-<hash of server, model, alias and stage>/
        index.json                   names of the entry in Production, and of the one before
        <version>-<hash of the digests>/
            release.json             the version as it was in the registry, its digests and its signature
            …                        its files

Every entry and index is written beside its place and then renamed, so that readers see all of it or nothing. When an
entry is read, its signature is verified again, and then its files against the signed digests. Entries from before
there were signatures have none: the service has verified their files when it stored them, and serves them on. They
can't be told from forged ones, so the folder belongs to the service alone (mode 700).
"""

import fcntl
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from contract.digests import MANIFEST_FILE, DigestError, verify
from serving.inference.contract import parse_manifest
from serving.inference.model import Release
from serving.registry.refusals import Code, RefusedError, first_problem
from serving.reload.files import folders_inside, read_inside
from serving.reload.saved import SavedRelease
from serving.settings import Settings

TEMPORARY = ".new-"

logger = logging.getLogger(__name__)


class _Index(BaseModel):
    model_config = ConfigDict(strict=True)

    current: str
    previous: str | None = None

    def other_than(self, entry: str) -> str | None:
        """Return the entry to keep beside `entry`."""
        return self.previous if self.current == entry else self.current


class Cache:
    """The copies of one registered model of one MLflow server. Its methods block: call them in a thread."""

    def __init__(self, settings: Settings, name: str) -> None:
        served = (settings.mlflow_tracking_uri, name, settings.alias, settings.stage)
        key = _short_hash([str(part) for part in served])
        begin = name.encode()[:100].decode(errors="ignore")  # a folder's name has 255 bytes at most
        self.folder = settings.cache_dir / f"{begin}-{key}"
        self._limit = settings.max_artifact_bytes
        self._trusted = settings.read_trusted_keys()

    def current(self) -> tuple[Release, Mapping[str, bytes]] | None:
        """Return the verified release that was last in Production, with its files; None if there was none.

        Raises:
            RefusedError: the copy is damaged, or its signature isn't that of a trusted key.
        """
        try:
            index = self._index()
        except (OSError, ValidationError) as error:
            raise self._damaged("index.json", error) from error
        return self._read(index.current) if index else None

    def copies(self) -> list[tuple[Release, Mapping[str, bytes]]]:
        """Return every undamaged copy, whatever the index says, the one that was stored last first."""
        found = []
        for entry in folders_inside(self.folder):
            with suppress(RefusedError):
                found.append(self._read(entry))
        return found

    def class_names(self) -> list[str]:
        """Return the classes of the copies: a version that serves no more may have had others."""
        names: list[str] = []
        for entry in folders_inside(self.folder):
            with suppress(OSError, ValidationError, RefusedError, DigestError, KeyError):
                saved = SavedRelease.model_validate_json(self._content(f"{entry}/release.json"))
                manifest = self._content(f"{entry}/{MANIFEST_FILE}")
                verify(MANIFEST_FILE, manifest, saved.release(self._trusted).digests)
                names += parse_manifest(manifest).classes
        return names

    def find(self, release: Release) -> Mapping[str, bytes] | None:
        """Return the verified files of a release; None if there is no copy.

        Raises:
            RefusedError: the copy is damaged.
        """
        entry = self.folder / _entry(release)
        try:
            if not entry.is_dir():
                return None
            files = {name: self._content(f"{entry.name}/{name}") for name in release.files}
            for name, content in files.items():
                verify(name, content, release.digests)
        except (OSError, DigestError, RefusedError) as error:
            text = f"the copy of version {release.version.version} is damaged: {error}"
            raise RefusedError(Code.CACHE_CORRUPT, text) from error
        return files

    def store(self, release: Release, files: Mapping[str, bytes]) -> None:
        """Store a release as the current one, and keep the one before; delete older ones.

        Raises:
            OSError: the copy can't be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = _entry(release)
        with self._lock():
            self._store(name, release, files)

    def _store(self, name: str, release: Release, files: Mapping[str, bytes]) -> None:
        before = self._index_to_replace()
        previous = before.other_than(name) if before else None
        if before and before.current == name and self._is_whole(release, files):
            return
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=TEMPORARY, ignore_cleanup_errors=True) as new:
            entry, index = Path(new, "entry"), Path(new, "index.json")
            _write(entry, release, files)
            index.write_text(_Index(current=name, previous=previous).model_dump_json())
            if (self.folder / name).exists():  # damaged, or with older tags
                (self.folder / name).rename(Path(new, "replaced"))
            entry.rename(self.folder / name)
            index.replace(self.folder / "index.json")
        self._prune({name, previous})

    def _is_whole(self, release: Release, files: Mapping[str, bytes]) -> bool:
        """Return whether another worker has stored the release already, with the same tags."""
        try:
            return self.current() == (release, files)
        except RefusedError:
            return False

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Wait until no other worker writes. The lock ends with the process that holds it."""
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _read(self, entry: str) -> tuple[Release, Mapping[str, bytes]]:
        """Return the verified release of an entry, with its files; raise `RefusedError` if it can't be trusted."""
        try:
            saved = SavedRelease.model_validate_json(self._content(name := f"{entry}/release.json"))
        except (OSError, ValidationError) as error:
            raise self._damaged(name, error) from error
        release = saved.release(self._trusted)
        files = self.find(release) if _entry(release) == entry else None
        if files is None:
            raise RefusedError(Code.CACHE_CORRUPT, f"{entry} in the cache is another version than it says")
        return release, files

    def _damaged(self, name: str, error: OSError | ValidationError) -> RefusedError:
        reason = first_problem(error) if isinstance(error, ValidationError) else error
        return RefusedError(Code.CACHE_CORRUPT, f"the cache in {self.folder} can't be read: {name}: {reason}")

    def _content(self, name: str) -> bytes:
        return read_inside(self.folder, name, self._limit)

    def _index(self) -> _Index | None:
        try:
            return _Index.model_validate_json(self._content("index.json"))
        except FileNotFoundError:
            return None

    def _index_to_replace(self) -> _Index | None:
        try:
            return self._index()
        except (OSError, ValidationError) as error:
            logger.warning("cache.index_damaged folder=%s error=%r", self.folder, str(error))
            return None

    def _prune(self, keep: set[str | None]) -> None:
        """Remove other entries, and leftovers of a process that was killed while it wrote."""
        for path in self.folder.iterdir():
            if path.is_dir() and path.name not in keep:
                shutil.rmtree(path, ignore_errors=True)


def _write(entry: Path, release: Release, files: Mapping[str, bytes]) -> None:
    saved = SavedRelease.of(release)
    for name, content in {**files, "release.json": saved.model_dump_json().encode()}.items():
        path = entry / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _entry(release: Release) -> str:
    return f"{release.version.version}-{_short_hash(sorted(release.digests.items()))}"


def _short_hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:12]

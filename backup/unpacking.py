"""Unpack an archive that may come from a stranger: known names only, and nothing but what its manifest says.

Not by `tarfile`, which follows links, and reads headers of any length into memory.
"""

import gzip
import hashlib
import os
import shutil
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from backup.archive import CHUNK
from backup.errors import BackupError
from backup.manifest import FORMAT, HEADER, MANIFEST, Format, Header, Manifest, Member, largest

RESERVE: Final = 64 * 1024 * 1024  # bytes of the disk that are left alone
_MEMBERS: Final = 1_000_000
_BLOCK: Final = tarfile.BLOCKSIZE

Model = TypeVar("Model", bound=BaseModel)


class _Content(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Unpacked:
    """The files of an archive, each as its manifest says."""

    folder: Path
    header: Header
    manifest: Manifest

    def path(self, member: str) -> Path:
        """Return the place of a member, which may not be there."""
        return self.folder / member


def unpack(archive: Path, folder: Path) -> Unpacked:
    """Unpack an archive into an empty folder.

    Raises:
        BackupError: it isn't whole, isn't what was written, or is of a newer version.
        OSError: it can't be read, or the folder not be written.
    """
    with archive.open("rb") as file:
        return unpack_file(file, str(archive), folder)


def unpack_file(file: IO[bytes], name: str, folder: Path) -> Unpacked:
    """Unpack an open archive, of which messages say this name, into an empty folder. Raises as `unpack` does."""
    try:
        return _Unpacking(name, folder).run(file)
    except (EOFError, gzip.BadGzipFile, zlib.error, tarfile.TarError, UnicodeDecodeError) as error:
        raise BackupError(f"{name} is damaged, or no backup: {error or 'it was cut off'}") from error


def read_header(archive: Path) -> Header:
    """Return the first member of an archive. Raises BackupError and OSError as `unpack` does."""
    with archive.open("rb") as file:
        try:
            unpacking = _Unpacking(str(archive), archive.parent)
            with gzip.GzipFile(fileobj=file) as content:
                head = unpacking.head(content)
                if head is None or head[0] != HEADER:
                    raise unpacking.refusal(f"its first member isn't {HEADER}")
                return unpacking.header(content.read(head[1]))
        except (EOFError, gzip.BadGzipFile, zlib.error, tarfile.TarError, UnicodeDecodeError) as error:
            raise BackupError(f"{archive} is damaged, or no backup: {error or 'it was cut off'}") from error


class _Unpacking:
    def __init__(self, archive: str, folder: Path) -> None:
        self._archive, self._folder = archive, folder
        self._found: dict[str, Member] = {}

    def run(self, file: IO[bytes]) -> Unpacked:
        header = None
        with gzip.GzipFile(fileobj=file) as content:
            while head := self.head(content):
                name, size = head
                if (header is None) != (name == HEADER):
                    raise self.refusal(f"its first member isn't {HEADER}")
                if MANIFEST in self._found:
                    raise self.refusal(f"{name} follows its manifest")
                self._unpack(content, name, size)
                header = header or self.header((self._folder / HEADER).read_bytes())
            while rest := content.read(CHUNK):
                if rest.strip(b"\0"):
                    raise self.refusal("something follows its end")
        if header is None or MANIFEST not in self._found:
            raise self.refusal("it has no manifest")
        return Unpacked(self._folder, header, self._manifest())

    def head(self, content: _Content) -> tuple[str, int] | None:
        """Return name and size of the next member, or None at the end."""
        block = content.read(_BLOCK)
        if len(block) < _BLOCK:
            raise EOFError
        if not block.strip(b"\0"):
            return None
        info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        allowed = largest(info.name)
        if info.type != tarfile.REGTYPE or info.linkname:
            raise self.refusal(f"{info.name!r} isn't a regular file")
        if allowed is None:
            raise self.refusal(f"{info.name!r} has no place in a backup")
        if info.name in self._found or len(self._found) >= _MEMBERS:
            raise self.refusal(f"{info.name!r} is in it twice, or it has more than {_MEMBERS:,} members")
        if not 0 <= info.size <= allowed:
            raise self.refusal(f"{info.name!r} has {info.size} bytes, more than {allowed}")
        return info.name, info.size

    def header(self, content: bytes) -> Header:
        found = self._parse(Format, HEADER, content).format
        if found > FORMAT:
            raise BackupError(
                f"{self._archive} has the format {found}, and this version reads up to {FORMAT}: "
                "restore it with the version of the project that made it, or a newer one"
            )
        return self._parse(Header, HEADER, content)

    def refusal(self, reason: str) -> BackupError:
        return BackupError(f"{self._archive} isn't restored: {reason}")

    def _unpack(self, content: _Content, name: str, size: int) -> None:
        if size > shutil.disk_usage(self._folder).free - RESERVE:
            raise BackupError(
                f"there is no room in {self._folder.parent}: {name} needs {size:,} bytes; make room there, or choose a "
                "larger disk with PENGUINS_STATE_DIR (containers use Docker's)"
            )
        path = self._folder / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        digest, rest = hashlib.sha256(), size + -size % _BLOCK
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            left = size
            while rest:
                chunk = content.read(min(rest, CHUNK))
                if not chunk:
                    raise EOFError
                digest.update(chunk[:left])
                file.write(chunk[:left])
                left, rest = max(0, left - len(chunk)), rest - len(chunk)
        self._found[name] = Member(name=name, size=size, sha256=digest.hexdigest())

    def _manifest(self) -> Manifest:
        manifest = self._parse(Manifest, MANIFEST, (self._folder / MANIFEST).read_bytes())
        told = {member.name: member for member in manifest.members}
        del self._found[MANIFEST]
        if len(told) != len(manifest.members) or told.keys() != self._found.keys():
            raise self.refusal("it has other members than its manifest says")
        for name, found in self._found.items():
            if (found.size, found.sha256) != (told[name].size, told[name].sha256):
                raise BackupError(f"{self._archive} is damaged: {name} isn't what was written, its digest differs")
        return manifest

    def _parse(self, kind: type[Model], name: str, content: bytes) -> Model:
        try:
            return kind.model_validate_json(content)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, problem["loc"]))
            raise self.refusal(f"its {name} can't be read: {where}: {problem['msg']}") from error

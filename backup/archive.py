"""The archive: a tar file, compressed by gzip, with regular files only.

Its first member tells the format, its last one the sizes and digests of all others: they are known only when the others
are written. `tar tzf` lists it.
"""

import gzip
import hashlib
import io
import tarfile
from datetime import datetime
from typing import IO, Final

from backup.errors import BackupError
from backup.manifest import HEADER, MANIFEST, Header, Manifest, Member, Table, largest

_LEVEL: Final = 1  # a higher one takes several times as long, for a tenth of the size
_BLOCK: Final = tarfile.BLOCKSIZE
CHUNK: Final = 1024 * 1024


class Writer:
    """Adds members to an open file."""

    def __init__(self, file: IO[bytes], header: Header) -> None:
        self._zip = gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=_LEVEL)
        self._time = header.at
        self._members: list[Member] = []
        self.add_text(HEADER, header.model_dump_json(indent=2))

    @property
    def size(self) -> int:
        """Return the bytes of all members so far."""
        return sum(member.size for member in self._members)

    def add(self, name: str, file: IO[bytes], size: int, of: str = "") -> None:
        """Add a member of this size.

        Raises:
            BackupError: the file has fewer bytes, or nobody would restore it.
        """
        if size > (largest(name) or -1):
            raise BackupError(f"{of or name} has no place in a backup: it has {size:,} bytes")
        self._zip.write(_head(name, size, self._time))
        digest, rest = hashlib.sha256(), size
        while rest:
            chunk = file.read(min(rest, CHUNK))
            if not chunk:
                raise BackupError(f"{of or name} became shorter while it was read; make the backup again")
            digest.update(chunk)
            self._zip.write(chunk)
            rest -= len(chunk)
        self._zip.write(bytes(-size % _BLOCK))
        self._members.append(Member(name=name, size=size, sha256=digest.hexdigest(), of=of))

    def add_text(self, name: str, text: str) -> None:
        """Add a member with a text."""
        content = text.encode()
        self.add(name, io.BytesIO(content), len(content))

    def close(self, tables: list[Table], days: list[str]) -> None:
        """Add the manifest and the end."""
        manifest = Manifest(members=tuple(self._members), tables=tuple(tables), days=tuple(days))
        self.add_text(MANIFEST, manifest.model_dump_json(indent=1))
        self._zip.write(bytes(2 * _BLOCK))
        self._zip.close()


def _head(name: str, size: int, at: datetime) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, int(at.timestamp())
    return info.tobuf(tarfile.GNU_FORMAT)

"""Archives for tests: whole ones, and such as nobody should restore."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from backup.archive import Writer
from backup.files import writing
from backup.manifest import Header

HEADER = Header(
    at=datetime(2026, 11, 28, 12, tzinfo=UTC), commit="0" * 40, postgresql=180000, programs={"mlflow": "3.17.0"}
)
MEMBERS = (
    ("objects/00000000", np.random.default_rng(0).bytes(20_000), "1/abc/model.pkl"),
    ("models.txt", b"penguins_rf\n", ""),
)


def write(path: Path, members: Sequence[tuple[str, bytes, str]] = MEMBERS) -> None:
    """Write an archive as `take` does."""
    with writing(path) as file:
        writer = Writer(file, HEADER)
        for name, content, of in members:
            writer.add(name, io.BytesIO(content), len(content), of)
        writer.close([], ["20261128"])


def forge(
    path: Path, members: Sequence[tuple[tarfile.TarInfo | str, bytes]], manifest: Any = None, end: bytes = b""
) -> None:
    """Write an archive with any members, and a manifest that says they are right unless another one is given."""
    infos = [(tarfile.TarInfo(info) if isinstance(info, str) else info, content) for info, content in members]
    if manifest is None:
        told = [
            {"name": info.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for info, content in infos
        ]
        manifest = {"members": told, "tables": [], "days": []}
    if manifest is not False:
        infos.append((tarfile.TarInfo("manifest.json"), json.dumps(manifest).encode()))
    with gzip.open(path, "wb") as file:
        for info, content in infos:
            info.size = info.size or len(content)
            file.write(info.tobuf(tarfile.GNU_FORMAT))
            file.write(content + bytes(-len(content) % 512))
        file.write(bytes(1024) + end)


def header(**changes: Any) -> tuple[str, bytes]:
    """Return a first member."""
    return "backup.json", json.dumps(HEADER.model_dump(mode="json") | changes).encode()


def info(name: str, **changes: Any) -> tarfile.TarInfo:
    """Return the header of a member."""
    made = tarfile.TarInfo(name)
    for key, value in changes.items():
        setattr(made, key, value)
    return made

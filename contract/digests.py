"""Digests of a version's files: the tag `digests` maps each path in the artifact folder to its sha256."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from pydantic import TypeAdapter, ValidationError

DIGESTS: Final = "digests"
"""Tag of a logged model and of a version."""

MODEL_FILE: Final = "model.pkl"
MLMODEL_FILE: Final = "MLmodel"
ONNX_FILE: Final = "inference/model.onnx"
MANIFEST_FILE: Final = "inference/contract.json"

Digests = Mapping[str, str]

_JSON_OBJECT: Final = TypeAdapter(dict[str, str])
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class DigestError(Exception):
    """A file's content isn't the recorded one."""


def sha256(content: bytes) -> str:
    """Return the sha256 of `content` in lower-case hex."""
    return hashlib.sha256(content).hexdigest()


def digest_files(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file below `folder`, by its path in the folder."""
    return {
        path.relative_to(folder).as_posix(): sha256(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def parse_digests(tag: str) -> Digests:
    """Read the tag `digests`.

    Raises:
        ValueError: the tag isn't a JSON object of path to sha256, or a path leads out of the artifact folder.
    """
    try:
        digests = _JSON_OBJECT.validate_json(tag, strict=True)
    except ValidationError as error:
        raise ValueError(f"the tag `digests` isn't a JSON object of path to sha256: {tag[:80]!r}") from error
    return check_digests(digests)


def check_digests(digests: Digests) -> Digests:
    """Return `digests` if its paths and sha256 are sound.

    Raises:
        ValueError: a path leads out of the artifact folder, or a digest isn't a sha256.
    """
    for name, digest in digests.items():
        if not _is_inside(name):
            raise ValueError(f"the digests name a path outside of their folder: {name[:80]!r}")
        if not _SHA256.fullmatch(digest):
            raise ValueError(f"the digests have {digest[:80]!r} for {name}: not a sha256 in lower-case hex")
    return digests


def serving_files(digests: Digests) -> tuple[str, str]:
    """Return the two files that the service opens: manifest and ONNX export or, in a version without, the pickle."""
    exported = any(name.startswith("inference/") for name in digests)
    return (MANIFEST_FILE, ONNX_FILE) if exported else (MLMODEL_FILE, MODEL_FILE)


def missing_digests(names: Iterable[str], digests: Digests) -> list[str]:
    """Return the names that have no recorded digest."""
    return [name for name in names if name not in digests]


def verify(name: str, content: bytes, digests: Digests) -> None:
    """Check that `content` is the recorded file `name`.

    Raises:
        DigestError: the file has another digest.
    """
    found = sha256(content)
    if found != digests[name]:
        raise DigestError(
            f"{name} has sha256 {found[:12]}…, registered was {digests[name][:12]}… ({len(content)} bytes)"
        )


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    unusual = "\\" in name or any(ord(character) < 32 for character in name)
    return not (unusual or path.is_absolute() or ".." in path.parts) and str(path) == name and name != "."

"""Digests: which files a version consists of, and proof that a file is the one that was registered."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from pydantic import TypeAdapter, ValidationError

from serving.registry.refusals import Code, RefusedError

Digests = Mapping[str, str]

_JSON_OBJECT = TypeAdapter(dict[str, str])
_SHA256 = re.compile(r"[0-9a-f]{64}")


def parse(tag: str) -> Digests:
    """Read the tag `digests`: a JSON object, path inside the artifact folder → sha256 in hex.

    Raises:
        RefusedError: it isn't such an object, or a path leads out of the artifact folder.
    """
    try:
        digests = _JSON_OBJECT.validate_json(tag, strict=True)
    except ValidationError as error:
        raise RefusedError(
            Code.DIGESTS_INVALID, f"the tag `digests` isn't a JSON object of path to sha256: {tag[:80]!r}"
        ) from error
    for name, digest in digests.items():
        if not _is_inside(name):
            raise RefusedError(Code.DIGESTS_INVALID, f"the tag `digests` names a path outside of its folder: {name!r}")
        if not _SHA256.fullmatch(digest):
            raise RefusedError(
                Code.DIGESTS_INVALID,
                f"the tag `digests` has {digest[:80]!r} for {name}: not a sha256 in lower-case hex",
            )
    return digests


def require(names: Iterable[str], digests: Digests) -> None:
    """Check that the digests vouch for all these files.

    Raises:
        RefusedError: they don't.
    """
    missing = [name for name in names if name not in digests]
    if missing:
        raise RefusedError(Code.NOT_VOUCHED_FOR, f"the tag `digests` doesn't vouch for {' and '.join(missing)}")


def verify(name: str, content: bytes, digests: Digests) -> None:
    """Check that `content` is the file `name` that the digests vouch for.

    Raises:
        RefusedError: it is another one.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != digests[name]:
        raise RefusedError(
            Code.DIGEST_MISMATCH,
            f"{name} has sha256 {found[:12]}…, registered was {digests[name][:12]}… ({len(content)} bytes)",
        )


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    unusual = "\\" in name or any(ord(character) < 32 for character in name)
    return not (unusual or path.is_absolute() or ".." in path.parts) and str(path) == name and name != "."

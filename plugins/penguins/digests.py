"""The digests by which a model's files are known again."""

import hashlib
from pathlib import Path
from typing import Final

DIGESTS: Final = "digests"
"""Tag of a logged model and of a version: JSON, path to sha256."""


def digests(folder: Path) -> dict[str, str]:
    """sha256, hex, of every file below `folder`, by its path in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

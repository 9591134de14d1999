"""The names of the registered models that are served."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from serving.settings import Settings

NAME = re.compile(r"(?=.{1,256}$)[^/:%\s,'\"]+( [^/:%\s,'\"]+)*")
MAX_NAMES = 1000

logger = logging.getLogger(__name__)


class Names:
    """The names in the settings, the one of `/predict` first, then those in a file.

    The file is read again when it has changed. While it can't be read or has a mistake, the names that it had stay;
    before it is there, it has none.
    """

    def __init__(self, settings: Settings) -> None:
        self._first = settings.first_models
        self._file = settings.models_file
        self._seen: object = None
        self._more: Sequence[str] = ()

    def current(self) -> tuple[str, ...]:
        """Return the names."""
        if self._file is not None and (seen := _stat(self._file)) != self._seen:
            self._seen = seen
            self._read(self._file)
        return tuple(dict.fromkeys((*self._first, *self._more)))

    def _read(self, file: Path) -> None:
        try:
            found = _lines(file)
        except (OSError, ValueError) as error:
            logger.error("models.unreadable file=%s reason=%r", file, str(error))
            return
        usable = [name for name in found if NAME.fullmatch(name)]
        if wrong := [name[:80] for name in found if name not in usable]:
            logger.error("models.wrong_names file=%s names=%r", file, wrong[:10])
            usable = [*self._more, *usable]
        self._more = usable
        logger.info("models.read number=%d", len(usable))


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _lines(path: Path) -> list[str]:
    """Return the names in a file, one a line.

    Raises:
        OSError, ValueError: it can't be read, or has too many.
    """
    names = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    if len(names) > MAX_NAMES:
        raise ValueError(f"it has more than {MAX_NAMES} names")
    return names

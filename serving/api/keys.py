"""API keys, for a service that requires them."""

import hashlib
import hmac
import logging
from collections.abc import Sequence
from pathlib import Path

from serving.settings import Settings

logger = logging.getLogger(__name__)


class Keys:
    """The accepted keys. There may be several, so that they can be rotated."""

    def __init__(self, settings: Settings) -> None:
        """Read the keys.

        Raises:
            OSError, ValueError: the file can't be read, or holds no key.
        """
        self._fixed = _digests(settings.api_keys.get_secret_value()) if settings.api_keys else []
        self._file = _KeyFile(settings.api_keys_file) if settings.api_keys_file else None
        self.required = bool(self._fixed or self._file)

    def accept(self, key: bytes) -> bool:
        """Return whether `key` is accepted, in constant time."""
        digest, found = hashlib.sha256(key).digest(), False
        for known in (*self._fixed, *(self._file.current() if self._file else ())):
            found |= hmac.compare_digest(digest, known)
        return found


class _KeyFile:
    """A file with a key a line, read again whenever it has changed.

    While the file can't be read or has no key, the old keys stay valid: a mistake neither opens the service nor
    locks everybody out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen, self._digests = self._stat(), _digests(path.read_text())

    def current(self) -> Sequence[bytes]:
        """Return the digests of the keys."""
        seen = self._stat()
        if seen != self._seen:
            self._seen = seen
            try:
                self._digests = _digests(self._path.read_text())
                logger.info("keys.read number=%d", len(self._digests))
            except (OSError, ValueError) as error:
                logger.error("keys.unreadable file=%s reason=%r", self._path, str(error))
        return self._digests

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None  # reading the file reports the error
        return found.st_mtime_ns, found.st_size, found.st_ino


def _digests(keys: str) -> list[bytes]:
    found = [hashlib.sha256(key.encode()).digest() for key in keys.replace(",", " ").split()]
    if not found:
        raise ValueError("there is no API key in the setting or the file")
    return found

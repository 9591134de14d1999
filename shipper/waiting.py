"""Wait while something is in trouble: tell of it once, and try again less and less often."""

import logging
import threading

logger = logging.getLogger(__name__)


class Patience:
    """Pauses that grow until the trouble is over or `stop` is set."""

    def __init__(self, stop: threading.Event, first: float, longest: float) -> None:
        """Begin with pauses of `first` seconds."""
        self._stop, self._first, self._longest = stop, first, longest
        self._pause, self._trouble = first, ""

    def wait(self, trouble: str) -> None:
        """Log a trouble unless it is the one from before, and wait."""
        if trouble != self._trouble:
            logger.error("waiting reason=%r", trouble)
            self._trouble = trouble
        self._stop.wait(self._pause)
        self._pause = min(self._pause * 2, self._longest)

    def end(self) -> None:
        """Log that the trouble is over, if there was one."""
        if self._trouble:
            logger.info("recovered from=%r", self._trouble)
        self._trouble, self._pause = "", self._first

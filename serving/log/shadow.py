"""Answer logged rows again, with the version in the shadow of the one that serves."""

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from serving import metrics
from serving.inference.blocks import Labels
from serving.inference.model import LoadedModel

logger = logging.getLogger(__name__)


class ShadowAnswers:
    """Gives the answers of a version in the shadow, in the thread that writes the log."""

    def __init__(self, model: LoadedModel, is_behind: Callable[[], bool]) -> None:
        """Take a version.

        Args:
            is_behind: returns whether so much waits to be written that nothing is to be answered again.
        """
        self._model, self._is_behind = model, is_behind
        self._has_failed = False

    @property
    def version(self) -> str:
        """Return the number of the version."""
        return self._model.version

    def answer(self, rows: NDArray[np.floating], labels: NDArray[np.integer]) -> Labels | None:
        """Return the labels [n] of rows [n, features]; None if one of them can't be answered, or there is no time.

        Args:
            labels: those that the version that serves has given [n].
        """
        if self._is_behind():
            self._count("skipped", len(rows))
            return None
        try:
            found, shares = self._model.engine.predict(np.ascontiguousarray(rows, np.float32))
        except Exception as error:  # noqa: BLE001 - each engine raises its own errors, and none may harm the log
            self._fail(len(rows), f"{type(error).__name__}: {error}")
            return None
        if not (np.isfinite(shares).all() and (found >= 0).all() and (found < shares.shape[1]).all()):
            self._fail(len(rows), "the values are too large to compute with, or a label is none of its classes")
            return None
        same = int((found == labels).sum())
        self._count("same", same)
        self._count("other", len(rows) - same)
        return found

    def _count(self, outcome: str, rows: int) -> None:
        if rows:
            metrics.SHADOW_PREDICTIONS.labels(self._model.name, self._model.version, outcome).inc(rows)

    def _fail(self, rows: int, reason: str) -> None:
        self._count("failed", rows)
        if not self._has_failed:
            self._has_failed = True
            logger.warning("shadow.no_answer version=%s name=%s reason=%r", self.version, self._model.name, reason)

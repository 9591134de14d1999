"""Messages about the progress of a search."""

import logging
from collections.abc import Sequence

from penguins.training.search import Failed, Fitted

log = logging.getLogger(__name__)


def log_result(found: Fitted | Failed, done: int, total: int, seconds: float) -> None:
    """Log the result of a candidate, the `done`-th of `total`, after that many seconds."""
    if isinstance(found, Failed):
        log.warning("%2d/%d  %5.1f s  failed: %s  %s", done, total, seconds, found.reason, found.candidate.name)
        return
    judged = "  ".join(
        f"{name} {found.metrics[name]:.4f}"
        for name in ("cv_accuracy_mean", "holdout_accuracy")
        if name in found.metrics
    )
    log.info("%2d/%d  %5.1f s  %s  %s", done, total, seconds, judged, found.candidate.name)


def nothing_done(failed: Sequence[str], left_out: int, time_budget: float) -> str:
    """Return the message of a search without any fitted candidate."""
    if not failed:
        return f"time_budget: not one of {left_out} candidates was done within {time_budget:.0f} s. Give it more time."
    return f"not one candidate could be fitted. The first of {len(failed)} failed with {failed[0]}"

"""The state of the log, for metrics and pages."""

from dataclasses import dataclass

from serving.log.counts import totals
from serving.log.log import PredictionLog


@dataclass(frozen=True)
class LogState:
    """The state of the log, of all processes together.

    Attributes:
        recorded: rows that were to be logged: written, dropped, lost, or waiting to be written.
        written: rows that are, or were, in the spool.
        shipped: rows that the shipper has brought into the database.
        dropped: rows that weren't written because the buffer, the spool or the disk was full.
        lost: rows of processes that were killed.
        damaged: segments that the shipper has set aside.
        spool_bytes: size of the segments.
        lag_seconds: age of the oldest segment that waits for the shipper.
    """

    recorded: int
    written: int
    shipped: int
    dropped: dict[str, int]
    lost: int
    damaged: int
    spool_bytes: int
    lag_seconds: float


def state_of(log: PredictionLog) -> LogState:
    """Return the state of a log. This reads files."""
    counted = totals(log.spool, log.counters)
    spool_bytes, lag_seconds = log.spool.state()
    return LogState(
        recorded=counted["recorded"],
        written=counted["written"],
        shipped=counted["shipped"],
        dropped={reason: counted[f"dropped_{reason}"] for reason in ("buffer", "spool", "disk")},
        lost=counted["lost"],
        damaged=counted["damaged"],
        spool_bytes=spool_bytes,
        lag_seconds=lag_seconds,
    )

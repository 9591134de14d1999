"""Wait for a change made by another process."""

import time
from collections.abc import Callable
from typing import TypeVar

from local.errors import StackError

TIMEOUT = 300.0  # seconds
POLL = 0.1  # seconds
# An answer of Airflow costs a tenth of a second of processor: what is waited for would be slower by it.
PAUSES = 3  # times the condition took, before the next call
LONGEST_PAUSE = 1.0  # seconds

Result = TypeVar("Result")


def until(condition: Callable[[], Result | None], event: str, seconds: float = TIMEOUT, poll: float = POLL) -> Result:
    """Call `condition` until its result is true, and return it; `poll` is the shortest pause, in seconds.

    Raises:
        StackError: the time is over.
    """
    deadline = time.monotonic() + seconds
    while True:
        started = time.monotonic()
        if result := condition():
            return result
        now = time.monotonic()
        if now > deadline:
            raise StackError(f"timed out after {seconds:.0f} s: waiting for {event}")
        time.sleep(max(poll, min(PAUSES * (now - started), LONGEST_PAUSE)))

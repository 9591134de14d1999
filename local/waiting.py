"""Wait for a change made by another process."""

import time
from collections.abc import Callable
from typing import TypeVar

from local.errors import StackError

TIMEOUT = 300.0  # seconds
POLL = 0.1  # seconds

Result = TypeVar("Result")


def until(condition: Callable[[], Result | None], event: str, seconds: float = TIMEOUT, poll: float = POLL) -> Result:
    """Call `condition` every `poll` seconds until the result is true, and return it. Raises StackError on timeout."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise StackError(f"timed out after {seconds:.0f} s: waiting for {event}")
        time.sleep(poll)
    return result

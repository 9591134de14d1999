"""Waiting for something that another process does."""

import time
from collections.abc import Callable
from typing import TypeVar

from local.errors import StackError

PATIENCE = 300.0  # seconds
POLL = 0.1  # seconds

Result = TypeVar("Result")


def until(condition: Callable[[], Result | None], what: str, seconds: float = PATIENCE, poll: float = POLL) -> Result:
    """Ask every `poll` seconds until it is so, and return the answer. Raises StackError when it takes too long."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise StackError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(poll)
    return result

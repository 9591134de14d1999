"""Keep the interpreter from ending while a thread of pyarrow holds a function of Python.

`pyarrow.csv.open_csv` reads ahead in a thread of its own, also after its reader was closed. If that thread is the last
to release the handler of invalid rows while the interpreter ends, it can't get the interpreter's lock, and the process
is aborted: `terminate called without an active exception`, status -6.
"""

import atexit
import time
from collections.abc import Callable
from typing import Final, TypeVar
from weakref import WeakSet

TIMEOUT: Final = 5.0  # seconds; pyarrow needs milliseconds for the block that it reads

Handler = TypeVar("Handler", bound=Callable[..., str])

_held: WeakSet[Callable[..., str]] = WeakSet()


def released_before_exit(handler: Handler) -> Handler:
    """Let the end of the process wait until a handler that pyarrow is given is released."""
    _held.add(handler)
    return handler


@atexit.register
def _wait() -> None:
    until = time.monotonic() + TIMEOUT
    while len(_held) and time.monotonic() < until:
        time.sleep(0.001)

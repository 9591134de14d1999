"""What only one process may do at a time, on whatever machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import Connection
from psycopg.errors import LockNotAvailable

from penguins.errors import UserError


@contextmanager
def alone(connection: Connection[Any], what: str, patience: int = 0) -> Iterator[None]:
    """Hold the lock `what` of the pipeline's database; others wait here. The same connection may take it again.

    The lock is the connection's, not a transaction's: what is written meanwhile stays, whatever becomes of the
    rest. It ends with the block or the connection, whichever is first.

    Args:
        patience: seconds to wait for it, 0 for as long as it takes.

    Raises:
        UserError: another held it for longer than that.
    """
    try:
        with connection.transaction():  # the limit ends with it; the lock doesn't
            connection.execute("SELECT set_config('lock_timeout', %s, true)", [f"{patience}s"])
            connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [what])
    except LockNotAvailable:
        raise UserError(f"The {what} is being decided on right now. Try again in a while.") from None
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(hashtext(%s))", [what])

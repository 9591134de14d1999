"""Locks between processes, on any machine, held in the pipeline's database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import Connection
from psycopg.errors import LockNotAvailable

from penguins.errors import UserError


@contextmanager
def exclusive_lock(connection: Connection[Any], name: str, timeout: int = 0) -> Iterator[None]:
    """Hold the lock `name` during the block; other connections wait. The same connection may take it again.

    The lock belongs to the connection, not to a transaction: writes made under it stay if a later one fails. It is
    released at the end of the block or of the connection.

    Args:
        timeout: seconds to wait for the lock, 0 for no limit.

    Raises:
        UserError: another connection held the lock for longer than that.
    """
    try:
        with connection.transaction():  # limits the setting of the timeout; the lock outlives it
            connection.execute("SELECT set_config('lock_timeout', %s, true)", [f"{timeout}s"])
            connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [name])
    except LockNotAvailable:
        raise UserError(f"The {name} is being decided on right now. Try again in a while.") from None
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(hashtext(%s))", [name])

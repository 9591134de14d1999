"""Tell what an upgrade of a state directory has done, once, as it was found out while it was done."""

from collections.abc import Sequence

import psycopg

from backup.stack import Login
from local import version
from local.config import Config
from local.credentials import take_added
from local.errors import StackError
from local.ports import LOOPBACK
from local.settings import REPO


def tell(config: Config, migrated: Sequence[str]) -> str | None:
    """Return what a completed upgrade has done; None if there was none.

    Args:
        migrated: programs that have brought their own databases along, with their versions.

    Raises:
        StackError: PostgreSQL doesn't answer.
    """
    if version.upgrading(config.layout) is None:
        return None
    lines = _read(config)
    version.finish(config.layout)
    if not lines:
        return None  # the first start, after one that was interrupted
    if added := take_added(config.layout.credentials):
        lines.append(f"New credentials: {', '.join(added)}.")
    if migrated:
        lines.append(f"Databases that their programs migrated: {', '.join(migrated)}.")
    return "\n".join([*lines, "CHANGELOG.md says what to look at."])


def _read(config: Config) -> list[str]:
    """Return what init-db has noted."""
    superuser = Login(
        LOOPBACK, config.settings.postgres_port, "postgres", config.credentials.postgres_password, "postgres"
    )
    statement = (REPO / "init-db" / "upgrade-tell.sql").read_bytes()
    try:
        with superuser.connect() as connection:
            cursor = connection.execute(statement)
            cursor.nextset()  # the first is of SET
            return [done for (done,) in cursor]
    except psycopg.Error as error:
        raise StackError(f"what the upgrade has done is unknown: {error}") from error

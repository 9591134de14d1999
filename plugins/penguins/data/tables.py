"""Replace a table in one transaction, and limit the share of rejected rows; for both loading tasks."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from psycopg import Connection, Error, sql

from penguins.data.publishing import place_table
from penguins.data.runs import Run, drop_table, id_of
from penguins.errors import UserError
from penguins.locks import exclusive_lock

log = logging.getLogger(__name__)


@contextmanager
def replace_table(connection: Connection[Any], name: str, run: Run | None = None) -> Iterator[sql.Identifier]:
    """Yield an empty staging table for the new rows of the table `name` of a run; put it in place after the block.

    The block is one transaction, so readers see the old table or the new one, never a part, and the old one stays if
    the block fails. Two replacements of the same table run one after the other, and those of different runs at the same
    time. Comments and rights are kept.

    Args:
        run: None for the published table.

    Raises:
        UserError: a view depends on the table.
    """
    staging = f"{run.table(name) if run else name}_staging"
    table = sql.Identifier(staging)
    with exclusive_lock(connection, staging):
        # Not in the transaction below: LIKE locks the published table until the end of its transaction.
        drop_table(connection, staging)
        connection.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(table, sql.Identifier(name)))
        try:
            with connection.transaction():
                connection.execute(sql.SQL("TRUNCATE {}").format(table))  # COPY … FREEZE needs it
                yield table
                connection.execute(sql.SQL("ANALYZE {}").format(table))
                place_table(connection, name, run, staging)
        except BaseException:
            with suppress(Error):  # such as a lost connection, of which the error above tells
                drop_table(connection, staging)
            raise


def forget_rejected(connection: Connection[Any], task: str, run: Run | None) -> None:
    """Delete the rows that an earlier try of a task has rejected."""
    connection.execute("DELETE FROM penguins_rejected WHERE task = %s AND run_id = %s", [task, id_of(run)])


def check_rejected_share(
    connection: Connection[Any], task: str, run: Run | None, total: int, allowed_share: float, source: str
) -> int:
    """Count the rows that `task` has rejected, and check that they are few enough.

    Args:
        total: number of rows that the task has read.
        allowed_share: share of them (0 to 1) that may be rejected.
        source: name of the file or table, for the message.

    Raises:
        UserError: more than `allowed_share` of the rows were rejected.
    """
    rejected, first = connection.execute(
        """
        SELECT count(*), (array_agg(format('row %%s: %%s', source_row, reason) ORDER BY source_row))[:3]
        FROM penguins_rejected WHERE task = %s AND run_id = %s
        """,
        [task, id_of(run)],
    ).fetchone() or (0, [])
    if rejected > allowed_share * total:
        raise UserError(
            f"{source}: {rejected:,} of {total:,} rows ({rejected / total:.1%}) break the data contract, more than "
            f"the {allowed_share:.0%} that PENGUINS_MAX_REJECTED_SHARE allows. {task} has changed nothing. "
            f"The first are {' | '.join(first)}."
        )
    for line in first or []:
        log.warning("rejected %s", line)
    return int(rejected)

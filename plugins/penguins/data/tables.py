"""Replace a table in one transaction, and limit the share of rejected rows; for both loading tasks."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from psycopg import Connection, Error, errors, sql

from contract.schema import DataContract
from penguins import contracts
from penguins.data import ddl
from penguins.data.publishing import place_table
from penguins.data.runs import Run, drop_table, id_of, staging_of
from penguins.errors import UserError
from penguins.locks import exclusive_lock

log = logging.getLogger(__name__)


@contextmanager
def replace_table(
    connection: Connection[Any], contract: DataContract, kind: ddl.Kind, run: Run | None = None
) -> Iterator[str]:
    """Yield the name of an empty staging table for the new rows of a run; put it in place after the block.

    The block is one transaction, so readers see the old table or the new one, never a part, and the old one stays if
    the block fails. Two replacements of the same table run one after the other, and those of different runs at the same
    time. Comments and rights are kept. A table that is missing, or that the contract has changed, is made by the
    contract.

    Args:
        run: None for the published table.

    Raises:
        UserError: a view depends on the table, or somebody else has made a table of its name, or a row
            is too large for PostgreSQL.
    """
    name = contract.table(kind)
    staging = staging_of(run.table(name) if run else name)
    with exclusive_lock(connection, staging):
        ddl.create_rejected(connection, contract)
        # Not in the transaction below: LIKE locks the published table until the end of its transaction.
        drop_table(connection, staging)
        try:
            with connection.transaction():
                changes = ddl.create_staging(connection, contract, kind, staging)
            with connection.transaction():
                table = sql.Identifier(staging)
                connection.execute(sql.SQL("TRUNCATE {}").format(table))  # COPY … FREEZE needs it
                yield staging
                connection.execute(sql.SQL("ANALYZE {}").format(table))
                place_table(connection, contract, kind, run, staging)
        except BaseException as error:
            with suppress(Error):  # such as a lost connection, of which the error above tells
                drop_table(connection, staging)
            if isinstance(error, errors.ProgramLimitExceeded):
                raise UserError(
                    f"{name}: the contract {contract.name} has too many columns for a row of PostgreSQL "
                    f"({error.diag.message_primary}). Leave some out of the contract: a source may have others."
                ) from error
            raise
    if changes:
        log.warning("the contract has changed the columns of %s: %s", name, ", ".join(changes))


def forget_rejected(connection: Connection[Any], contract: DataContract, task: str, run: Run | None) -> None:
    """Delete the rows that an earlier try of a task has rejected."""
    delete = sql.SQL("DELETE FROM {} WHERE task = %s AND run_id = %s")
    connection.execute(delete.format(sql.Identifier(contract.table("rejected"))), [task, id_of(run)])


def check_rejected_share(
    connection: Connection[Any],
    contract: DataContract,
    task: str,
    run: Run | None,
    total: int,
    allowed_share: float,
    source: str,
) -> int:
    """Count the rows that `task` has rejected, and check that they are few enough.

    Args:
        total: number of rows that the task has read.
        allowed_share: share of them (0 to 1) that may be rejected.
        source: name of the file or table, for the message.

    Raises:
        UserError: more than `allowed_share` of the rows were rejected.
    """
    count = sql.SQL(
        """
        SELECT count(*), (array_agg(format('row %%s: %%s', source_row, reason) ORDER BY source_row))[:3]
        FROM {} WHERE task = %s AND run_id = %s
        """
    ).format(sql.Identifier(contract.table("rejected")))
    rejected, first = connection.execute(count, [task, id_of(run)]).fetchone() or (0, [])
    if rejected > allowed_share * total:
        raise UserError(
            f"{source}: {rejected:,} of {total:,} rows ({rejected / total:.1%}) break the data contract, more than "
            f"the {allowed_share:.0%} that {name_of_limit(contract)} allows. {task} has changed nothing. "
            f"The first are {' | '.join(first)}. Correct these rows, or change the contract."
        )
    for line in first or []:
        log.warning("rejected %s", line)
    return int(rejected)


def name_of_limit(contract: DataContract) -> str:
    """Return the name of the setting that limits the share of rejected rows."""
    return "PENGUINS_MAX_REJECTED_SHARE" if contract.name == contracts.DEFAULT else "maxRejectedShare in the contract"

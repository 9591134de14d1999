"""Replace a table in one transaction, and limit the share of rejected rows; for both loading tasks."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import Connection, errors, sql

from penguins.errors import UserError

log = logging.getLogger(__name__)


# Statements that grant the rights on a table again, because LIKE doesn't copy rights.
_GRANTS = """
    SELECT format(
        'GRANT %%s ON %%I TO %%s', privilege_type, relname,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
    )
    FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = %(table)s::regclass AND grantee <> relowner
"""


@contextmanager
def replace_table(connection: Connection[Any], table: str) -> Iterator[sql.Identifier]:
    """Yield an empty staging table for the new rows of `table`; swap the two at the end of the block.

    Everything is one transaction: readers see the old table or the new one, never a part, and the old one stays if the
    block fails. Two replacements of the same table run one after the other. Comments and rights are kept.

    Raises:
        UserError: a view depends on the table.
    """
    old, staging = sql.Identifier(table), sql.Identifier(f"{table}_staging")
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [table])
        connection.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(staging, old))
        comment = connection.execute("SELECT obj_description(%s::regclass)", [table]).fetchone()
        grants = connection.execute(_GRANTS, {"table": table}).fetchall()
        yield staging
        try:
            connection.execute(sql.SQL("DROP TABLE {}").format(old))
        except errors.DependentObjectsStillExist as error:
            raise UserError(
                f"{table} can't be replaced, for something depends on it: {error.diag.message_detail}. "
                "Drop that, and let it read the table by a function or a copy."
            ) from error
        connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(staging, old))
        if comment and comment[0]:
            connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(old, sql.Literal(comment[0])))
        for (grant,) in grants:
            connection.execute(grant)
        connection.execute(sql.SQL("ANALYZE {}").format(old))


def check_rejected_share(connection: Connection[Any], task: str, total: int, allowed_share: float, source: str) -> int:
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
        FROM penguins_rejected WHERE task = %s
        """,
        [task],
    ).fetchone() or (0, [])
    if rejected > allowed_share * total:
        raise UserError(
            f"{source}: {rejected:,} of {total:,} rows ({rejected / total:.1%}) break the data contract, more than "
            f"the {allowed_share:.0%} that PENGUINS_MAX_REJECTED_SHARE allows. Nothing was changed. "
            f"The first are {' | '.join(first)}."
        )
    for line in first or []:
        log.warning("rejected %s", line)
    return int(rejected)

"""Publish the rows of the run that started last under the names that users know.

Rows are never copied: the new table takes the name, and the table before gets the name of its own run back.
"""

from datetime import UTC, datetime
from typing import Any, Final

from psycopg import Connection, sql

from contract.schema import DataContract
from penguins.data.ddl import Kind
from penguins.data.runs import BY_HAND, Run, drop_table, keeps_tables, published_run

# Statements that grant the rights on a table again, because LIKE doesn't copy rights.
_GRANTS: Final = """
    SELECT format(
        'GRANT %%s ON %%I TO %%s', privilege_type, relname,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
    )
    FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = to_regclass(%(table)s) AND grantee <> relowner
"""


def place_table(connection: Connection[Any], contract: DataContract, kind: Kind, run: Run | None, staging: str) -> None:
    """Rename a staging table to the published name or, if a run that started later is there, to the run's own name.

    Args:
        run: None for a load by hand, which is always published.

    Raises:
        UserError: something depends on the table that it replaces.
    """
    name = contract.table(kind)
    connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [name])
    new, before = run or Run(BY_HAND, datetime.now(UTC)), published_run(connection, name)
    again = before is not None and before.id == new.id
    if run and not again:
        drop_table(connection, run.table(name))
        if before and before.started > run.started:
            _rename(connection, staging, run.table(name))
            return
    aside = before.table(name) if before and not again and keeps_tables(connection, contract, before) else None
    publish(connection, name, staging, aside)
    connection.execute(
        """INSERT INTO penguins_published (name, run_id, started_at) VALUES (%s, %s, %s)
           ON CONFLICT (name) DO UPDATE SET run_id = excluded.run_id, started_at = excluded.started_at""",
        [name, new.id, new.started],
    )


def publish(connection: Connection[Any], name: str, staging: str, aside: str | None) -> None:
    """Rename `staging` to `name`, with comment and rights of the table before, which gets the name `aside` or goes."""
    comment = connection.execute("SELECT obj_description(to_regclass(%s), 'pg_class')", [name]).fetchone()
    grants = connection.execute(_GRANTS, {"table": name}).fetchall()
    # A view would follow the table to its other name, so refuse it in either case.
    with connection.transaction(force_rollback=aside is not None):
        drop_table(connection, name)
    if aside:
        _rename(connection, name, aside)
    _rename(connection, staging, name)
    if comment and comment[0]:
        connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(sql.Identifier(name), sql.Literal(comment[0])))
    for (grant,) in grants:
        connection.execute(grant)


def _rename(connection: Connection[Any], table: str, name: str) -> None:
    connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(sql.Identifier(table), sql.Identifier(name)))

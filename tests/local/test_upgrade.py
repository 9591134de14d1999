"""A database of version 0.1.0, after one run of the DAG, is brought along by init-db.

states/0.1.0.sql.gz is a pg_dump of the database penguins that the commit d82a8fc made.
"""

import gzip
import os
import subprocess
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from local import environment, postgres
from local.settings import REPO
from local.stack import Stack
from tests.local.test_init_db import connect_as_superuser, new_database

STATE = Path(__file__).parent / "states" / "0.1.0.sql.gz"
ROWS = {"audit.promotions": 1, "public.penguins_processed": 342, "public.penguins_raw": 344}

# Tables without partitions, and those that the first run of a contract makes.
FACTS = """
    WITH tables AS (
        SELECT oid, oid::regclass::text AS name FROM pg_class
        WHERE relkind IN ('r', 'p', 'v') AND NOT relispartition
            AND (relnamespace::regnamespace::text IN ('audit', 'log', 'monitoring')
                OR relname IN ('penguins_runs', 'penguins_published'))
    )
    SELECT name, attname, format_type(atttypid, atttypmod) || attnotnull::text || coalesce(attacl::text, '')
    FROM tables JOIN pg_attribute ON attrelid = tables.oid WHERE attnum > 0 AND NOT attisdropped
    UNION ALL SELECT name, 'constraint', pg_get_constraintdef(pg_constraint.oid)
    FROM tables JOIN pg_constraint ON conrelid = tables.oid
    UNION ALL SELECT name, 'trigger', pg_get_triggerdef(pg_trigger.oid)
    FROM tables JOIN pg_trigger ON tgrelid = tables.oid WHERE NOT tgisinternal
    UNION ALL SELECT name, 'index', replace(pg_get_indexdef(indexrelid), ' ONLY', '')
    FROM tables JOIN pg_index ON indrelid = tables.oid
    UNION ALL SELECT name, 'grants', array_to_string(ARRAY(SELECT unnest(relacl)::text ORDER BY 1), ' ')
    FROM tables JOIN pg_class USING (oid)
"""


def psql(stack: Stack, *arguments: str | Path, role: str = "postgres", text: bytes = b"") -> None:
    settings = os.environ | environment.init_db(stack.config, str(postgres.BIN)) | {"PGUSER": role}
    if role == "penguins":
        settings["PGPASSWORD"] = settings["PENGUINS_DB_PASSWORD"]
    command = [postgres.BIN / "psql", "-Xq", "--set=ON_ERROR_STOP=1", "--dbname=older", *arguments]
    subprocess.run(command, env=settings, input=text, check=True, capture_output=True)


def bring_along(stack: Stack) -> None:
    psql(stack, "--set=role=penguins", "--file", REPO / "init-db" / "02-schemas.sql")
    psql(stack, "--file", REPO / "init-db" / "03-tables.sql", role="penguins")
    for script in ("04-audit", "05-records", "06-log", "07-monitoring"):
        psql(stack, "--file", REPO / "init-db" / f"{script}.sql")


def facts(connection: psycopg.Connection) -> set[tuple[str, str, str]]:
    return set(connection.execute(FACTS).fetchall())


def rows(connection: psycopg.Connection) -> dict[str, list[tuple]]:
    tables = {name: Identifier(*name.split(".")) for name in ROWS}
    return {
        name: connection.execute(SQL("TABLE {} ORDER BY 1").format(table)).fetchall() for name, table in tables.items()
    }


def test_a_database_of_the_first_version_becomes_like_a_new_one_and_keeps_its_rows(stack: Stack) -> None:
    with connect_as_superuser(stack, "penguins") as connection:
        new = facts(connection)
    with new_database(stack) as connection:
        psql(stack, text=gzip.decompress(STATE.read_bytes()))
        connection.execute("SET search_path = public")
        before = rows(connection)
        assert {name: len(found) for name, found in before.items()} == ROWS
        assert facts(connection) != new
        bring_along(stack)
        once, after = facts(connection), rows(connection)
        assert once == new
        for name, found in before.items():
            assert [row[: len(found[0])] for row in after[name]] == found  # columns are only added, at the end
        connection.execute("SELECT run_id FROM penguins_rejected")
        entry = connection.execute("SELECT model, action, to_version, git_commit FROM audit.promotions").fetchone()
        assert entry == ("penguins_rf", "promote", "1", "d82a8fcc5d0282d3e9b2cbfa7cddc4df008dc592")
        bring_along(stack)
        assert (facts(connection), rows(connection)) == (once, after)

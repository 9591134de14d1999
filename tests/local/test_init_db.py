"""init-db on the PostgreSQL of the shared stack."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from local import environment, postgres
from local.settings import REPO
from local.stack import Stack
from local.version import VERSION
from ops.upgraded import PSQL
from tests import stacks
from tests.penguins.conftest import make_tables

ROLES = ("airflow", "mlflow", "penguins")


def apply(stack: Stack, **variables: str) -> str:
    settings = os.environ | environment.init_db(stack.config, str(postgres.BIN)) | variables
    command = [REPO / "init-db" / "apply.sh"]
    return subprocess.run(command, env=settings, check=True, capture_output=True, text=True).stdout


def connect(stack: Stack, role: str, database: str) -> psycopg.Connection:
    url = stack.config.database_url(role)
    return psycopg.connect(url.removesuffix(role) + database)


def connect_as_superuser(stack: Stack, database: str) -> psycopg.Connection:
    server = {"host": "127.0.0.1", "port": stack.config.settings.postgres_port, "user": "postgres"}
    return psycopg.connect(
        **server, password=stack.config.credentials.postgres_password, dbname=database, autocommit=True
    )


@contextmanager
def new_database(stack: Stack) -> Iterator[psycopg.Connection]:
    """Connect as superuser to a database of its own."""
    with connect_as_superuser(stack, "postgres") as server:
        server.execute("CREATE DATABASE older")
        try:
            with connect_as_superuser(stack, "older") as connection:
                yield connection
        finally:
            server.execute("DROP DATABASE older")


def shape(stack: Stack) -> list[tuple]:
    """Return everything created by init-db: tables with their comments, grants, owners."""
    with connect(stack, "penguins", "penguins") as connection:
        columns = connection.execute(
            """SELECT table_name, column_name, data_type, is_nullable,
                      col_description(table_name::regclass, ordinal_position), obj_description(table_name::regclass)
               FROM information_schema.columns WHERE table_schema = 'public'
                   AND table_name IN ('penguins_raw', 'penguins_rejected', 'penguins_runs', 'penguins_published')
               ORDER BY 1, ordinal_position"""
        ).fetchall()
        databases = connection.execute(
            "SELECT datname, datdba::regrole::text, datacl::text FROM pg_database ORDER BY 1"
        ).fetchall()
    return columns + databases


@pytest.mark.parametrize("role", ROLES)
def test_a_role_makes_tables_in_its_database_and_owns_nothing_else(stack, role):
    with connect(stack, role, role) as connection:
        connection.execute("CREATE TABLE mine (x int)")
        connection.execute("DROP TABLE mine")
        connection.commit()
        for statement in (
            f"ALTER DATABASE {role} SET work_mem = '8MB'",
            f"ALTER DATABASE {role} RENAME TO other",
            "CREATE SCHEMA other",
            "DROP SCHEMA public CASCADE",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
            connection.rollback()


# An operator that `action IN (...)` of init-db/04-audit.sql finds first, and a setting that is committed later.
PLANTED = """
    CREATE SCHEMA evil;
    CREATE FUNCTION evil.equals(a text, b text) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        IF pg_catalog.current_setting('is_superuser') OPERATOR(pg_catalog.=) 'on' THEN
            EXECUTE 'ALTER ROLE penguins SUPERUSER';
        END IF;
        RETURN a OPERATOR(pg_catalog.=) b;
    END $$;
    CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.equals);
    ALTER DATABASE penguins SET search_path = evil, pg_catalog, public;
    ALTER ROLE penguins SET search_path = evil, pg_catalog, public;
    INSERT INTO audit.promotions (model, who, action, to_version, reason, numbers)
        VALUES ('m', 'mallory', 'promote', '1', 'a row to judge', '{}');
"""


def test_an_older_stack_is_brought_up_to_date_without_running_anything_of_its_roles(stack):
    with connect_as_superuser(stack, "postgres") as server:
        for role in ROLES:
            server.execute(SQL("ALTER DATABASE {0} OWNER TO {0}").format(Identifier(role)))
        with connect(stack, "penguins", "penguins") as attacker:
            attacker.execute(PLANTED)
            attacker.commit()
            attacker.execute("GRANT CREATE ON DATABASE penguins TO PUBLIC")
            attacker.commit()
            attacker.execute("ALTER DATABASE penguins SET role = penguins")
            try:
                apply(stack)
                roles = server.execute("SELECT rolname FROM pg_roles WHERE rolsuper").fetchall()
                with pytest.raises(psycopg.OperationalError):
                    attacker.commit()
            finally:
                server.execute("ALTER ROLE penguins NOSUPERUSER; ALTER ROLE penguins RESET ALL")
                with connect_as_superuser(stack, "penguins") as connection:
                    connection.execute("DROP SCHEMA evil CASCADE")
        owners = "SELECT DISTINCT datdba::regrole::text FROM pg_database"
        assert server.execute(owners).fetchall() == roles == [("postgres",)]
        assert server.execute("SELECT * FROM pg_db_role_setting").fetchall() == []
        creators = "SELECT datname FROM pg_database WHERE has_database_privilege('penguins', oid, 'CREATE')"
        assert server.execute(creators).fetchall() == []
    for role in ROLES:
        connect(stack, role, role).close()


def test_an_audit_schema_that_another_role_made_is_refused(stack):
    with new_database(stack) as connection:
        connection.execute("CREATE SCHEMA audit AUTHORIZATION penguins")
        with pytest.raises(psycopg.errors.RaiseException, match="does not belong to a superuser"):
            connection.execute((REPO / "init-db" / "04-audit.sql").read_text())


def test_the_audit_trail_has_the_role_that_was_logged_in(stack):
    entry = "(model, who, action, to_version, reason, numbers{}) VALUES ('m', 'ada', 'found', '1', 'why', '{{}}'{})"
    with connect(stack, "penguins", "penguins") as connection:
        new = "INSERT INTO audit.promotions " + entry.format("", "") + " RETURNING db_user"
        assert connection.execute(new).fetchone() == ("penguins",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("INSERT INTO audit.promotions " + entry.format(", db_user", ", 'postgres'"))
        connection.rollback()


@pytest.mark.parametrize(
    ("role", "database"),
    [(role, other) for role in ROLES for other in (*ROLES, "postgres", "template1") if role != other],
)
def test_a_role_cant_connect_to_another_database(stack, role, database):
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        connect(stack, role, database)


def test_a_wrong_password_is_refused(stack):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(stack.config.database_url("penguins"), password="wrong")


@pytest.mark.parametrize("role", [*ROLES, "shipper"])
def test_roles_have_no_more_rights_than_they_need(stack, role):
    with psycopg.connect(stack.config.database_url(role)) as connection:
        rights = (
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = %s"
        )
        assert not any(connection.execute(rights, [role]).fetchone())


def test_a_second_run_changes_nothing(stack):
    before = shape(stack)
    apply(stack)
    assert shape(stack) == before
    assert any("whose DAG has the run" in (row[4] or "") for row in before if len(row) == 6)


def test_a_second_run_keeps_the_data(stack):
    with connect(stack, "penguins", "penguins") as connection:
        connection.execute("INSERT INTO penguins_published VALUES ('test_init_db', 'kept', now())")
    apply(stack)
    with connect(stack, "penguins", "penguins") as connection:
        deleted = connection.execute("DELETE FROM penguins_published WHERE name = 'test_init_db' RETURNING run_id")
        assert deleted.fetchall() == [("kept",)]


def test_a_rotated_password_takes_effect(stack):
    new = 'it\'s "new" \\ 100%'
    try:
        apply(stack, MLFLOW_DB_PASSWORD=new)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(stack, "mlflow", "mlflow")
        port = stack.config.settings.postgres_port
        psycopg.connect(host="127.0.0.1", port=port, user="mlflow", dbname="mlflow", password=new).close()
    finally:
        apply(stack)
    connect(stack, "mlflow", "mlflow").close()


def test_the_pipelines_role_owns_the_tables(stack):
    with connect(stack, "penguins", "penguins") as connection:
        for table in ("penguins_runs", "penguins_published"):
            connection.execute(SQL("ALTER TABLE {} ADD COLUMN x int").format(Identifier(table)))
        connection.rollback()


@pytest.mark.parametrize("variable", [f"{role.upper()}_DB_PASSWORD" for role in (*ROLES, "shipper")])
def test_a_missing_password_is_reported(stack, variable):
    with pytest.raises(subprocess.CalledProcessError) as failure:
        apply(stack, **{variable: ""})
    assert variable in failure.value.stderr


def test_an_older_audit_trail_is_brought_up_to_date_and_stays_append_only(stack):
    entry = "(model, who, action, to_version, reason, numbers{}) VALUES ('m', 'ada', %s, '1', 'why', '{{}}'{})"
    with new_database(stack) as connection:
        connection.execute((REPO / "init-db" / "04-audit.sql").read_text())
        connection.execute(
            """ALTER TABLE audit.promotions DROP COLUMN version_created_at, DROP COLUMN db_user, DROP COLUMN source,
               DROP CONSTRAINT promotions_action_check,
               ADD CONSTRAINT promotions_action_check CHECK (action IN ('promote', 'refuse', 'rollback', 'found'))"""
        )
        connection.execute("INSERT INTO audit.promotions " + entry.format("", ""), ["promote"])
        for _ in range(2):
            connection.execute((REPO / "init-db" / "04-audit.sql").read_text())
        connection.execute("SET ROLE penguins")
        new = "INSERT INTO audit.promotions " + entry.format(", version_created_at", ", now()")
        connection.execute(new, ["overtaken"])
        kept = connection.execute(
            "SELECT action, version_created_at IS NULL, db_user FROM audit.promotions ORDER BY id"
        )
        assert kept.fetchall() == [("promote", True, None), ("overtaken", False, "postgres")]
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(new, ["forget"])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE audit.promotions SET version_created_at = NULL")


def test_other_programs_of_the_servers_user_cant_reach_its_shared_memory(stack):
    with connect(stack, "penguins", "penguins") as connection:
        kind = connection.execute("SHOW dynamic_shared_memory_type").fetchone()
    assert kind == ("mmap" if os.geteuid() == 0 else "posix",)


def test_decisions_from_before_the_record_of_settled_ones_are_settled(stack):
    entry = "(model, who, action, to_version, reason, numbers) VALUES ('settled', 'ada', 'promote', '1', 'why', '{}')"
    with connect_as_superuser(stack, "penguins") as connection:
        connection.execute("DROP TABLE audit.settled")
        connection.execute(f"INSERT INTO audit.promotions {entry}")
        apply(stack)
        connection.execute(f"INSERT INTO audit.promotions {entry}")
        apply(stack)
        found = connection.execute(
            """SELECT id = ANY(ARRAY(SELECT promotion FROM audit.settled)) FROM audit.promotions
               WHERE model = 'settled' ORDER BY id"""
        )
        assert found.fetchall() == [(True,), (False,)]


def test_the_runs_of_an_older_stack_are_those_of_the_penguins(stack):
    with connect(stack, "penguins", "penguins") as connection:
        connection.execute(
            """ALTER TABLE penguins_runs DROP COLUMN contract, ADD PRIMARY KEY (run_id);
               INSERT INTO penguins_runs (run_id, hash, started_at) VALUES ('manual__older', 'abc', now())"""
        )
    for _ in range(2):
        apply(stack)
    with connect(stack, "penguins", "penguins") as connection:
        add = (
            "INSERT INTO penguins_runs (contract, run_id, hash, started_at) VALUES (%s, 'manual__older', 'abc', now())"
        )
        connection.execute(add, ["wine"])
        deleted = connection.execute("DELETE FROM penguins_runs WHERE run_id = 'manual__older' RETURNING contract")
        assert sorted(deleted.fetchall()) == [("penguins",), ("wine",)]


@pytest.mark.programs
def test_it_makes_no_table_of_a_contract(tmp_path):
    fresh = stacks.copy(tmp_path)
    try:
        fresh.up("init-db")
        with connect(fresh, "penguins", "penguins") as connection:
            found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
            assert found.fetchall() == [("penguins_published",), ("penguins_runs",)]
            connection.execute(
                "CREATE TABLE penguins_rejected (source_row bigint, task text, reason text, record jsonb)"
            )
        apply(fresh)  # of an older stack
        with connect(fresh, "penguins", "penguins") as connection:
            assert connection.execute("SELECT run_id FROM penguins_rejected").fetchall() == []
    finally:
        fresh.down()


def test_a_table_that_a_changed_contract_has_changed_stays(stack):
    with connect(stack, "penguins", "penguins") as connection:
        connection.autocommit = True
        make_tables(connection)
        connection.execute("ALTER TABLE penguins_raw RENAME COLUMN year TO season")
    try:
        before = shape(stack)
        apply(stack)
        assert shape(stack) == before
    finally:
        with connect(stack, "penguins", "penguins") as connection:
            connection.execute("ALTER TABLE penguins_raw RENAME COLUMN season TO year")


def test_databases_of_a_newer_version_are_refused_before_anything_is_changed(stack):
    with connect_as_superuser(stack, "postgres") as server:
        comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'postgres'"
        assert server.execute(comment).fetchone() == (f"penguins {VERSION}",)
        server.execute("COMMENT ON DATABASE postgres IS 'penguins 0.10.0'; ALTER ROLE shipper CREATEDB")
        try:
            with pytest.raises(subprocess.CalledProcessError) as refused:
                apply(stack)
            assert refused.value.stderr.splitlines() == [
                f"the databases were changed by version 0.10.0 of the project, and this is {VERSION}: "
                "use 0.10.0 or a newer one"
            ]
            left = server.execute("SELECT rolcreatedb FROM pg_roles WHERE rolname = 'shipper'").fetchone()
            assert left == (True,)
        finally:
            server.execute("COMMENT ON DATABASE postgres IS 'penguins 0.1.9'; ALTER ROLE shipper NOCREATEDB")
            apply(stack)
        assert server.execute(comment).fetchone() == (f"penguins {VERSION}",)


def test_an_upgrade_tells_once_what_it_has_brought_also_before_it_was_interrupted(stack):
    with connect_as_superuser(stack, "penguins") as connection:
        connection.execute("COMMENT ON DATABASE postgres IS 'penguins 0.1.9'")
        connection.execute("DROP TABLE log.retention, monitoring.backups")
        connection.execute("ALTER TABLE monitoring.alarms DROP COLUMN told_at")
        connection.execute("CREATE TABLE monitoring.other (); ALTER TABLE monitoring.other OWNER TO penguins")
        try:
            with pytest.raises(subprocess.CalledProcessError, match="non-zero"):
                apply(stack)
        finally:
            connection.execute("DROP TABLE monitoring.other")
            told = apply(stack)
        connection.execute("SELECT FROM log.retention, monitoring.backups")
    assert told == (
        f"Upgraded the databases from 0.1.9 to {VERSION}. New in them: tables: log.retention, monitoring.backups; "
        "columns: monitoring.alarms.told_at.\n"
    )
    assert apply(stack) == ""
    statement = (REPO / "init-db" / "upgrade-tell.sql").read_text()
    variables = os.environ | environment.init_db(stack.config, str(postgres.BIN))
    command = [postgres.BIN / PSQL[0], *PSQL[1:], statement]  # as `make compose-up` asks
    asked = [subprocess.run(command, env=variables, check=True, capture_output=True, text=True) for _ in range(2)]
    assert asked[0].stdout.endswith(told)  # after what other tests have left
    assert asked[1].stdout == ""

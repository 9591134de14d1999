"""A database and a whole state directory of version 0.1.0 are brought along.

Both were made by the commit d82a8fc. states/0.1.0.sql.gz is a pg_dump of the database penguins after one run of the
DAG. states/0.1.0.tar.xz is a state directory as `make down` left it, without logs, after two runs with candidates of
two or three trees, `make promote VERSION=2` and `make rollback`; its WAL was switched to an empty file, and paths in it
were changed to /srv/penguins.
"""

import gzip
import os
import subprocess
import tarfile
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from pydantic import AnyHttpUrl

from local import environment, postgres
from local.clients.http import JsonApi
from local.clients.mlflow import Mlflow
from local.clients.service import Service
from local.settings import REPO, Settings
from local.stack import Stack
from local.unsigned import unsigned_in_production, without_signature
from local.version import VERSION
from local.waiting import until
from serving.reload.cache import Cache
from serving.settings import Settings as ServingSettings
from tests import logs
from tests.commands import command
from tests.e2e.deployment import MODEL
from tests.local.test_init_db import connect_as_superuser, new_database

STATES = Path(__file__).parent / "states"
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
        psql(stack, text=gzip.decompress((STATES / "0.1.0.sql.gz").read_bytes()))
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


# Without Airflow's servers, which take most of a start.
PROGRAMS = ("mlflow", "api", "shipper", "airflow-migrate")
PENGUIN = {"bill_length_mm": 45, "bill_depth_mm": 15, "flipper_length_mm": 200, "body_mass_g": 4000}
PROBABILITIES = [{"Adelie": 0.0, "Chinstrap": 0.666667, "Gentoo": 0.333333}]  # as d82a8fc answered
TRAIL = [("promote", None, "1"), ("refuse", "1", "2"), ("promote", "1", "2"), ("rollback", "2", "1")]


@pytest.fixture
def older(tmp_path: Path) -> Stack:
    """A stack of version 0.1.0 that is down."""
    with tarfile.open(STATES / "0.1.0.tar.xz") as archive:
        archive.extractall(tmp_path, filter="fully_trusted")  # noqa: S202  it is our own
    state = tmp_path / "state"
    configuration = state / "airflow" / "airflow.cfg"
    configuration.write_text(configuration.read_text().replace("/srv/penguins/.state", str(state)))
    stack = Stack(Settings.on_free_ports(state))
    (copies,) = stack.config.layout.serving_cache.glob(f"{MODEL}-*")
    keys, url = stack.config.credentials.trusted_keys, AnyHttpUrl(stack.urls["mlflow"])
    serving = ServingSettings(mlflow_tracking_uri=url, cache_dir=copies.parent, trusted_keys=keys)
    copies.rename(Cache(serving, MODEL).folder)  # its name comes from the address of MLflow
    logs.watch(stack.config.layout.logs)
    return stack


def trail(stack: Stack) -> list[tuple]:
    with psycopg.connect(stack.config.database_url("penguins")) as connection:
        return connection.execute(
            "SELECT action, from_version, to_version FROM audit.promotions ORDER BY id"
        ).fetchall()


def test_a_state_of_the_first_version_is_brought_along_once_and_predicts_as_before(stack: Stack, older: Stack) -> None:
    with connect_as_superuser(stack, "penguins") as connection:
        new = facts(connection)
    settings = older.config.settings
    with older.running(*PROGRAMS):
        told = (older.upgraded or "").splitlines()
        assert told[0].startswith(
            f"Upgraded the databases from 0.1.0 to {VERSION}. New in them: roles: shipper; databases that belong to "
            "the superuser now: airflow, mlflow, penguins; tables: audit.candidates, audit.settled, audit.verdicts, "
        )
        assert "; columns: audit.promotions.db_user, audit.promotions.source, " in told[0]
        assert told[1] == "New credentials: shipper_db_password, airflow_jwt_key, signing_key."
        assert not older.up(*PROGRAMS)
        assert older.upgraded is None

        with connect_as_superuser(older, "penguins") as connection:
            assert facts(connection) == new
        with psycopg.connect(older.config.database_url("airflow")) as connection:
            states = "SELECT dag_id, state, count(*) FROM dag_run GROUP BY 1, 2"
            assert connection.execute(states).fetchall() == [("penguins_training", "success", 2)]
        assert trail(older) == TRAIL

        mlflow, service = Mlflow(older.urls["mlflow"]), Service(older.urls["api"])
        assert [version.number for version in mlflow.versions(MODEL)] == ["1", "2"]
        assert f"{MODEL} versions without a signature: 1, 2." in (without_signature(mlflow, MODEL) or "")
        keys = older.config.credentials.trusted_keys
        assert "no trusted key has signed it" in (unsigned_in_production(mlflow, MODEL, keys) or "")
        assert service.predict(PENGUIN)["probabilities"] == PROBABILITIES  # with the copy that it has

        signed = command(settings, "penguins", "sign", "--yes", "--", "1")
        assert signed.returncode == 0, signed.stdout + signed.stderr
        assert unsigned_in_production(mlflow, MODEL, keys) is None
        api = JsonApi(older.urls["api"])
        until(lambda: api.get("/model")["model"]["signed_by"] is not None, "the service to load the signed version", 60)
        answer = service.predict(PENGUIN)
        assert answer["probabilities"] == PROBABILITIES
        with psycopg.connect(older.config.database_url("penguins"), autocommit=True) as connection:
            logged = "SELECT count(*) FROM log.predictions WHERE prediction_id = %s"
            arrived = lambda: connection.execute(logged, [answer["prediction_id"]]).fetchall() == [(1,)]  # noqa: E731
            until(arrived, "the prediction to arrive", 60)
    again = Stack(settings)
    with again.running("init-db"):
        assert again.upgraded is None
        assert trail(again) == [*TRAIL, ("sign", None, "1")]

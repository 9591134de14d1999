"""A table of the pipeline's database as a source: the same rows as from a file, and one sentence where it can't be."""

import hashlib
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from contract.odcs import read_text
from local.settings import REPO, Settings
from local.stack import Stack
from penguins.contracts.draft import name_of
from penguins.data.checking import check_source
from penguins.data.ingest import load_raw
from penguins.data.lineage import read_source
from penguins.data.runs import Run
from penguins.data.table_source import export
from penguins.errors import UserError
from tests.commands import command as local
from tests.local.test_init_db import connect_as_superuser
from tests.penguins.data.contracts import MIXED, tables_of
from tests.penguins.test_commands import make

__all__ = ["make"]

RUN = Run("manual__table", datetime(2026, 1, 1, tzinfo=UTC))
DIALECT = {"separator": ";", "decimal_mark": ","}


@pytest.fixture
def orchard(stack: Stack, connection: Connection[Any]) -> Iterator[Connection[Any]]:
    """The pipeline's database with a table of the user's, in a schema and of a name that need quotes."""
    with connect_as_superuser(stack, "penguins") as owner:
        owner.execute('CREATE SCHEMA "Or""chard"')
        owner.execute('GRANT USAGE ON SCHEMA "Or""chard" TO penguins')
        owner.execute(
            '''
            CREATE TABLE "Or""chard"."a.b; --" (
                number text, "mean % radius" numeric(6, 2), "od280/""od315""" real, value smallint, reason boolean,
                raw text, judged integer, label bigint, day date, at timestamptz, extra jsonb
            );
            INSERT INTO "Or""chard"."a.b; --" VALUES
                ('two words "quoted", 🐧', 1.5, 2, 3, true, 'red', 1, 7, '2026-01-31', '2026-01-31 12:00+02', '[]'),
                ('', 0.1, NULL, 4, NULL, 'dark, blue', NULL, 0, NULL, '2026-01-31 12:00+00', NULL),
                ('c', 2, 'NaN', 10, false, 'a "quote"', 5, 7, '2026-02-01', NULL, '{}'),
                ('d', 3, 1e-3, 1000, true, '🐧', 3, 0, NULL, NULL, NULL);
            CREATE VIEW "Or""chard".broken AS SELECT 1 / (value - value) AS label FROM "Or""chard"."a.b; --";
            CREATE TABLE "Or""chard".secret (label text);
            GRANT SELECT ON "Or""chard"."a.b; --", "Or""chard".broken TO penguins;
            '''
        )
        yield connection
        owner.execute('DROP SCHEMA "Or""chard" CASCADE')


SOURCE = 'table:Or"chard.a.b; --'


def test_a_table_is_loaded_as_a_file_is(orchard: Connection[Any], tmp_path: Path) -> None:
    contract = MIXED.model_copy(update={"reading": MIXED.reading.model_copy(update=DIALECT)})  # of its files
    with tables_of(orchard, contract):
        assert load_raw(orchard, SOURCE, 0, RUN, contract).rows == 4
        raw = orchard.execute("SELECT * FROM fruit_raw ORDER BY source_row").fetchall()
        noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
        assert raw == [
            (1, 'two words "quoted", 🐧', 1.5, 2, 3, True, "red", 1, 7, date(2026, 1, 31), noon.replace(hour=10)),
            (2, None, 0.1, None, 4, None, "dark, blue", None, 0, None, noon),
            (3, "c", 2, None, 10, False, 'a "quote"', 5, 7, date(2026, 2, 1), None),
            (4, "d", 3, 0.001, 1000, True, "🐧", 3, 0, None, None),
        ]
        facts = read_source(orchard, RUN, contract)
    assert facts is not None
    content = export(orchard, SOURCE, tmp_path).read_bytes()
    assert facts.model_dump() == {
        "address": SOURCE,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "rows": 4,
    }
    check = check_source(SOURCE, contract, orchard)
    assert (check.rows, check.used) == (4, 2)  # one lacks its id, and one value isn't plausible


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("table:fruit", "there is no such table in the database 'penguins'. Give table:name or table:schema.name"),
        ("table:a.b; --", "there is no such table.* there are [^.]*'penguins_raw'"),
        ("table:", "there is no such table"),
        ('table:Or"chard.secret', "permission denied for table secret: GRANT the role penguins USAGE on the schema"),
        ('table:Or"chard.broken', "can't be read: division by zero"),
        ("table:a\0b", "can't be read: "),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_in_one_sentence(
    orchard: Connection[Any], source: str, message: str
) -> None:
    with pytest.raises(UserError, match=message) as raised:
        load_raw(orchard, source, 0, RUN, MIXED)
    assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match="a table needs the pipeline's database"):
        check_source(source, MIXED)


def test_a_view_cannot_write(orchard: Connection[Any]) -> None:
    orchard.execute("CREATE SEQUENCE fruit_seen")
    orchard.execute("CREATE VIEW fruit_counted AS SELECT nextval('fruit_seen') AS label")
    try:
        with pytest.raises(UserError, match="can't be read: cannot execute nextval"):
            load_raw(orchard, "table:fruit_counted", 0, RUN, MIXED)
    finally:
        orchard.execute("DROP VIEW fruit_counted; DROP SEQUENCE fruit_seen")


def test_a_large_table_takes_no_memory(connection: Connection[Any], tmp_path: Path) -> None:
    connection.execute("CREATE TABLE fruit_large AS SELECT generate_series(1, 300000) AS n, repeat('x', 90) AS text")
    try:
        tracemalloc.start()
        path = export(connection, "table:public.fruit_large", tmp_path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    finally:
        connection.execute("DROP TABLE fruit_large")
    assert path.stat().st_size > 28_000_000
    assert peak < 2_000_000
    assert path.read_text().splitlines()[0] == "n,text"


def test_the_name_of_a_draft_is_that_of_the_table() -> None:
    assert name_of("table:fruit") == "fruit"
    assert name_of("table:Sales.My Table") == "my_table"


def test_make_drafts_the_contract_of_a_table(
    orchard: Connection[Any], make: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    orchard.execute(
        """
        CREATE TABLE fruit_basket AS SELECT n % 7 / 4.0 AS size, n % 3 = 0 AS ripe, E'kept\\nin a box' AS note,
            CASE WHEN n % 2 = 0 THEN 'Apple' ELSE 'Pear, green' END AS kind FROM generate_series(1, 60) AS n
        """
    )
    try:
        folder = {"PENGUINS_CONTRACTS_DIR": str(tmp_path)}
        done = make("contract", "FROM=table:fruit_basket", "TARGET=kind", **folder)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"Wrote {tmp_path}/fruit_basket.yaml" in done.stdout
        drafted = read_text((tmp_path / "fruit_basket.yaml").read_bytes(), "fruit_basket.yaml", "fruit_basket")
        assert {each.name: each.type for each in drafted.features} == {"size": "number", "ripe": "boolean"}
        assert drafted.training.source == "table:fruit_basket"
        done = make("check", "CONTRACT=fruit_basket", **folder)
        assert (done.returncode, "60 of 60 rows of table:fruit_basket can be used" in done.stdout) == (0, True)
        done = make("contract", "FROM=table:fruit_baskets", "TARGET=kind", **folder)
        assert done.stderr.startswith("table:fruit_baskets: there is no such table in the database 'penguins'.")
        assert "'fruit_basket'" in done.stderr
        done = make("contract", "FROM=table:fruit_basket", "TARGET=kinds", "FORCE=1", **folder)
        assert done.stderr.startswith("table:fruit_basket: there is no column 'kinds'. TARGET is one of 'size', 'ripe'")
        with tables_of(orchard, drafted):  # drops that of the user, too
            assert load_raw(orchard, drafted.training.source, 0, None, drafted).rows == 60
    finally:
        orchard.execute("DROP TABLE IF EXISTS fruit_basket")


@pytest.mark.programs
def test_a_table_of_a_stack_that_is_down_is_refused_in_one_sentence(tmp_path: Path) -> None:
    done = local(
        Settings.on_free_ports(tmp_path / "state"), "contracts", "draft", "--from=table:fruit", "--target=kind"
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "the stack isn't running; start it with: make up\n"


@pytest.mark.programs
def test_a_database_that_does_not_answer_is_named(tmp_path: Path) -> None:
    address = "postgresql://penguins:x@127.0.0.1:1/penguins"
    variables = {"PYTHONPATH": "plugins", "AIRFLOW_CONN_PENGUINS_DB": address, "PENGUINS_CONTRACTS_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "penguins.contracts", "draft", "--from=table:fruit", "--target=kind"]
    done = subprocess.run(command, cwd=REPO, env=os.environ | variables, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Postgres doesn't answer or gave up: ")
    assert "Traceback" not in done.stderr

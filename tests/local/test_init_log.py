"""The schema of the prediction log on the PostgreSQL of the shared stack: what it keeps, and what its roles may do."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from local.settings import REPO
from local.stack import Stack
from tests.local.test_init_db import apply, connect_as_superuser, new_database

NOW = datetime.now(UTC)
TODAY = NOW.date()
ID = UUID(int=1)
SAY = "INSERT INTO log.feedback (prediction_id, row_index, class, at, who, received_at, model) VALUES "
DENIED = psycopg.errors.InsufficientPrivilege


@contextmanager
def logged_in(stack: Stack, role: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(stack.config.database_url(role), autocommit=True) as connection:
        yield connection


@pytest.fixture
def shipper(stack: Stack) -> Iterator[psycopg.Connection]:
    with logged_in(stack, "shipper") as connection:
        yield connection


@pytest.fixture
def penguins(stack: Stack) -> Iterator[psycopg.Connection]:
    with logged_in(stack, "penguins") as connection:
        yield connection


@pytest.fixture
def superuser(stack: Stack) -> Iterator[psycopg.Connection]:
    """A superuser's session; afterwards the log is empty again."""
    with connect_as_superuser(stack, "penguins") as connection:
        yield connection
        for (name,) in connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'log.predictions'::regclass"
        ).fetchall():
            if not name.endswith("elsewhere"):
                connection.execute(f"DROP TABLE {name}")
        connection.execute(
            """TRUNCATE log.predictions, log.segments, log.contracts, log.traffic, log.feedback, log.events;
               DELETE FROM audit.settled WHERE promotion IN (SELECT id FROM audit.promotions WHERE model = 'followed');
               DELETE FROM audit.promotions WHERE model = 'followed'"""
        )


def insert(connection: psycopg.Connection, at: datetime, index: int = 0) -> None:
    connection.execute(
        """INSERT INTO log.predictions (prediction_id, row_index, at, contract, model, version, class, latency_ms,
               outside, fraction, features, probabilities)
           VALUES (%s, %s, %s, '\\x00', 'm', '1', 0, 1, 0, 1, '{1,NaN}', '{1,0}')""",
        [ID, index, at],
    )


def partitions(connection: psycopg.Connection) -> dict[str, int]:
    """Return the number of rows of each partition, by the end of its name."""
    counted = connection.execute("SELECT tableoid::regclass::text, count(*) FROM log.predictions GROUP BY 1").fetchall()
    return {name.removeprefix("log.predictions_"): rows for name, rows in counted}


def traffic(connection: psycopg.Connection, rows: int, latency: float = 2.0) -> None:
    connection.execute(
        """SELECT log.add_traffic(
               'c', 'm', '1', %s, %s, %s::bigint[], '{0,1}', '{0,0}', %s::double precision[], %s::real[])""",
        [[NOW.replace(minute=0, second=0, microsecond=0)] * 2, ["a", "b"], [rows] * 2, [latency, 1.0], [latency, 1.0]],
    )


# The parts of the log, and the statements that change it or run as somebody else.
FORBIDDEN = [
    "UPDATE log.predictions SET class = 1",
    "DELETE FROM log.predictions",
    "TRUNCATE log.predictions",
    "DROP TABLE log.predictions",
    "ALTER TABLE log.predictions ADD COLUMN x int",
    "CREATE INDEX mine ON log.predictions (class)",
    "CREATE TRIGGER mine BEFORE INSERT ON log.predictions FOR EACH ROW EXECUTE FUNCTION log.enter_found()",
    "CREATE RULE mine AS ON INSERT TO log.feedback DO INSTEAD NOTHING",
    "CREATE TABLE log.mine (x int)",
    "CREATE FUNCTION log.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION log.drop_days() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "ALTER FUNCTION log.drop_days() RESET ALL",
    "ALTER SCHEMA log RENAME TO other",
    "DELETE FROM log.segments",
    "UPDATE log.segments SET name = 'other'",
    "UPDATE log.traffic SET rows = 0",
    "DELETE FROM log.traffic",
    "INSERT INTO log.traffic SELECT * FROM log.traffic",
    "UPDATE log.feedback SET class = 'x'",
    "DELETE FROM log.feedback",
    "UPDATE log.contracts SET name = 'other'",
    "DELETE FROM log.events",
    "UPDATE log.retention SET days = 1",
    "INSERT INTO log.retention (days) VALUES (1)",
    "UPDATE log.watermarks SET complete_until = 'infinity'",
    "INSERT INTO log.watermarks (spool, complete_until) VALUES (gen_random_uuid(), 'infinity')",
    "SET ROLE postgres",
    "COPY log.predictions FROM PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/stolen'",
    "CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION log.enter_found()",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
@pytest.mark.parametrize("role", ["shipper", "penguins"])
def test_the_log_cant_be_rewritten(stack, role, statement):
    with logged_in(stack, role) as connection, pytest.raises(DENIED):
        connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT FROM log.predictions",
        "SELECT FROM log.feedback",
        "SELECT FROM log.truth",
        "SELECT FROM log.traffic",
        "SELECT FROM log.contracts",
        "SELECT FROM log.events",
        "SELECT name FROM log.segments",
        "SELECT FROM log.watermarks",
        "SELECT FROM monitoring.verdicts",
        "SELECT FROM monitoring.alarms",
        "INSERT INTO log.predictions SELECT * FROM log.predictions RETURNING *",
        "COPY log.predictions TO STDOUT",
        "SELECT FROM audit.promotions",
        "INSERT INTO audit.promotions (model) VALUES ('m')",
        "SELECT FROM made_by_the_pipeline",
        "CREATE TABLE public.mine (x int)",
        "CREATE TEMPORARY TABLE mine (x int)",
        "INSERT INTO log.segments (name, kind, rows, shipped_at) VALUES ('s', 'events', 0, '2000-01-01')",
        "INSERT INTO log.predictions (shipped_at) VALUES ('2000-01-01')",
        "INSERT INTO log.feedback (shipped_at) VALUES ('2000-01-01')",
        "INSERT INTO log.events (id) OVERRIDING SYSTEM VALUE VALUES (1)",
    ],
)
def test_the_shipper_reads_nothing_and_writes_nothing_else(shipper, penguins, statement):
    penguins.execute("CREATE TABLE IF NOT EXISTS made_by_the_pipeline (x int)")
    with pytest.raises(DENIED):
        shipper.execute(statement)
    penguins.execute("DROP TABLE made_by_the_pipeline")


@pytest.mark.parametrize("role", ["airflow", "mlflow"])
def test_no_other_role_reaches_the_log(stack, role):
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(stack.config.database_url(role).removesuffix(role) + "penguins")


@pytest.mark.parametrize("database", ["airflow", "mlflow", "postgres", "template1"])
def test_the_shipper_reaches_no_other_database(stack, database):
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(stack.config.database_url("shipper").removesuffix("penguins") + database)


@pytest.mark.usefixtures("superuser")
def test_the_pipeline_reads_the_log_and_adds_nothing_to_it(shipper, penguins):
    (before,) = penguins.execute("SELECT count(*) FROM log.predictions").fetchone()
    insert(shipper, NOW)
    assert penguins.execute("SELECT count(*) FROM log.predictions").fetchone() == (before + 1,)
    for name in ("segments", "contracts", "traffic", "feedback", "truth", "events", "retention", "watermarks"):
        penguins.execute(SQL("SELECT * FROM log.{}").format(Identifier(name)))
    with pytest.raises(DENIED):
        insert(penguins, NOW)
    calls = ("prepare_days(current_date, current_date)", "drop_days()", "note_watermark(gen_random_uuid(), now())")
    for call in calls:
        with pytest.raises(DENIED):
            penguins.execute(f"SELECT log.{call}")
    with pytest.raises(DENIED):
        traffic(penguins, 1)
    penguins.execute("CREATE TABLE mine (model text)")
    with pytest.raises(DENIED):  # its function would run as the superuser
        penguins.execute("CREATE TRIGGER m AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION log.enter_found()")
    penguins.execute("DROP TABLE mine")


# Operators and functions that a search_path of the caller would find before those of PostgreSQL.
PLANTED = """
    CREATE SCHEMA evil;
    GRANT USAGE ON SCHEMA evil TO PUBLIC;
    CREATE FUNCTION evil.take() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        IF pg_catalog.current_setting('is_superuser') OPERATOR(pg_catalog.=) 'on' THEN
            EXECUTE 'ALTER ROLE shipper SUPERUSER';
        END IF;
    END $$;
    CREATE FUNCTION evil.less(a date, b date) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN PERFORM evil.take(); RETURN false; END $$;
    CREATE OPERATOR evil.< (LEFTARG = date, RIGHTARG = date, FUNCTION = evil.less);
    CREATE FUNCTION evil.equal(a text, b text) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN PERFORM evil.take(); RETURN a OPERATOR(pg_catalog.=) b; END $$;
    CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.equal);
    CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS $$
    BEGIN PERFORM evil.take(); RETURN pg_catalog.now(); END $$;
    CREATE FUNCTION evil.to_char(date, text) RETURNS text LANGUAGE plpgsql AS $$
    BEGIN PERFORM evil.take(); RETURN 'x'; END $$;
"""


def test_functions_of_the_log_run_nothing_of_their_callers(superuser, shipper):
    superuser.execute(PLANTED)
    try:
        shipper.execute("SET search_path = evil, pg_catalog; SET DateStyle = 'SQL, DMY'; SET TimeZone = 'Asia/Tokyo'")
        shipper.execute("SELECT log.prepare_days(%s, %s)", [TODAY, TODAY])
        insert(shipper, NOW)
        traffic(shipper, 1)
        swapped(shipper, "1")
        shipper.execute("SELECT log.drop_days()")
        assert superuser.execute("SELECT rolname FROM pg_roles WHERE rolsuper").fetchall() == [("postgres",)]
        assert partitions(superuser) == {f"{TODAY:%Y%m%d}": 1}
        bounds = f"FOR VALUES FROM ('{TODAY} 00:00:00+00') TO ('{TODAY + timedelta(1)} 00:00:00+00')"
        superuser.execute("SET TimeZone = 'UTC'")
        found = superuser.execute(
            "SELECT pg_get_expr(relpartbound, oid), relowner::regrole::text FROM pg_class WHERE relname = %s",
            [f"predictions_{TODAY:%Y%m%d}"],
        )
        assert found.fetchall() == [(bounds, "postgres")]
    finally:
        superuser.execute("ALTER ROLE shipper NOSUPERUSER; DROP SCHEMA evil CASCADE")


def test_of_alarms_from_before_notices_were_noted_nobody_is_told_again(stack):
    script = (REPO / "init-db" / "07-monitoring.sql").read_text()
    alarm = """INSERT INTO monitoring.alarms (contract, model, version, window_start, window_end, kind, reason)
        VALUES ('wine', 'wine', '1', now(), now() + interval '1 hour', %s, '')"""
    with new_database(stack) as connection:
        connection.execute(script)
        connection.execute("ALTER TABLE monitoring.alarms DROP COLUMN told_at")
        connection.execute(alarm, ["drift"])
        for _ in range(2):
            connection.execute(script)
        connection.execute(alarm, ["accuracy"])
        told = connection.execute("SELECT kind, told_at IS NOT NULL FROM monitoring.alarms ORDER BY id").fetchall()
    assert told == [("drift", True), ("accuracy", False)]


@pytest.mark.parametrize(("schema", "script"), [("log", "06-log.sql"), ("monitoring", "07-monitoring.sql")])
def test_a_schema_that_another_role_made_is_refused(stack, schema, script):
    script = (REPO / "init-db" / script).read_text()
    check = script[script.index("DO $$") : script.index("END $$;") + len("END $$;")]
    for planted in ("CREATE SCHEMA log AUTHORIZATION penguins", "CREATE SCHEMA log; {}"):
        function = (
            "CREATE FUNCTION log.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION log.f() OWNER TO penguins"
        )
        with new_database(stack) as connection:
            connection.execute(planted.format(function).replace("log", schema))
            with pytest.raises(psycopg.errors.RaiseException, match="does not belong to a superuser"):
                connection.execute(check)


def test_days_are_prepared_once_and_take_over_their_rows(superuser, shipper):
    insert(shipper, NOW)
    assert partitions(superuser) == {"elsewhere": 1}
    for _ in range(2):
        shipper.execute("SELECT log.prepare_days(%s, %s)", [TODAY - timedelta(1), TODAY + timedelta(1)])
    assert partitions(superuser) == {f"{TODAY:%Y%m%d}": 1}
    insert(shipper, NOW - timedelta(1))
    insert(shipper, NOW - timedelta(4000))
    assert partitions(superuser) == {f"{TODAY:%Y%m%d}": 1, f"{TODAY - timedelta(1):%Y%m%d}": 1, "elsewhere": 1}
    indexes = """SELECT amname, pg_get_indexdef(indexrelid, 1, false) FROM pg_index
        JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam WHERE indrelid = %s::regclass"""
    found = superuser.execute(indexes, [f"log.predictions_{TODAY:%Y%m%d}"]).fetchall()
    assert sorted(found) == [("brin", "at"), ("btree", "model"), ("btree", "prediction_id")]


@pytest.mark.usefixtures("superuser")
@pytest.mark.parametrize(
    ("first", "last"),
    [(0, -1), (0, 40), (-32, -31), (31, 32), (-400_000, -399_990), (0, 400_000), (None, 0), (0, None)],
)
def test_days_that_nobody_needs_arent_prepared(shipper, first, last):
    days = [None if number is None else TODAY + timedelta(number) for number in (first, last)]
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="can't be prepared"):
        shipper.execute("SELECT log.prepare_days(%s, %s)", days)


def test_days_are_prepared_while_others_add_rows(stack, superuser, shipper):
    with logged_in(stack, "shipper") as other:
        with other.transaction():
            insert(other, NOW)  # into the default partition, and not committed yet
            preparing = threading.Thread(
                target=shipper.execute, args=["SELECT log.prepare_days(%s, %s)", [TODAY, TODAY]]
            )
            preparing.start()
            time.sleep(0.5)
            assert preparing.is_alive()
        preparing.join(10)
    assert partitions(superuser) == {f"{TODAY:%Y%m%d}": 1}


def test_old_days_are_dropped_and_younger_ones_stay(stack, superuser, shipper):
    shipper.execute("SELECT log.prepare_days(%s, %s)", [TODAY - timedelta(8), TODAY])
    for days in (0, 6, 8, 4000, -3000):
        insert(shipper, NOW - timedelta(days))
        shipper.execute(SAY + "(%s, %s, 'a', %s, 'ada', %s, 'm')", [ID, abs(days), NOW, NOW])
        shipped = [NOW - timedelta(days), abs(days)]
        superuser.execute("UPDATE log.feedback SET shipped_at = %s WHERE row_index = %s", shipped)
        superuser.execute("INSERT INTO log.segments VALUES (%s, 'events', 1, %s)", [str(days), shipped[0]])
    insert(shipper, NOW - timedelta(5000))
    superuser.execute("UPDATE log.predictions SET shipped_at = at WHERE at < %s", [NOW - timedelta(4999)])
    try:
        apply(stack, PENGUINS_LOG_RETENTION_DAYS="7")
        assert shipper.execute("SELECT log.drop_days()").fetchone() == (1,)
        rows = superuser.execute("SELECT at FROM log.predictions ORDER BY at").fetchall()
        assert rows == [(NOW - timedelta(days),) for days in (4000, 6, 0, -3000)]
        truth = superuser.execute("SELECT row_index FROM log.feedback ORDER BY 1").fetchall()
        assert truth == [(0,), (6,), (3000,)]
        names = superuser.execute("SELECT name FROM log.segments ORDER BY name::int").fetchall()
        assert names == [("-3000",), ("0",), ("6",), ("8",)]
    finally:
        apply(stack)


def test_nothing_that_a_role_has_made_of_a_day_keeps_it(stack, superuser, shipper, penguins):
    day = TODAY - timedelta(8)
    shipper.execute("SELECT log.prepare_days(%s, %s)", [day, day])
    table = Identifier("log", f"predictions_{day:%Y%m%d}")
    penguins.execute(SQL("CREATE VIEW mine AS SELECT * FROM {}").format(table))
    penguins.execute(SQL("CREATE TABLE also_mine (kept integer, day {})").format(table))
    try:
        apply(stack, PENGUINS_LOG_RETENTION_DAYS="7")
        assert shipper.execute("SELECT log.drop_days()").fetchone() == (1,)
        penguins.execute("SELECT kept FROM also_mine")
    finally:
        penguins.execute("DROP VIEW IF EXISTS mine; DROP TABLE also_mine")
        apply(stack)
    assert partitions(superuser) == {}


def test_a_log_from_before_there_was_a_shadow_gets_its_column(stack, superuser, shipper):
    insert(shipper, NOW)
    superuser.execute("ALTER TABLE log.predictions DROP COLUMN shadow_version CASCADE")  # with views of other tests
    for _ in range(2):
        apply(stack)
    shipper.execute("SELECT log.prepare_days(%s, %s)", [TODAY, TODAY])
    shipper.execute(
        """INSERT INTO log.predictions (prediction_id, row_index, at, contract, model, version, class, latency_ms,
               outside, fraction, features, probabilities, shadow, shadow_version)
           VALUES (%s, 1, %s, '\\x00', 'm', '1', 0, 1, 0, 1, '{1,NaN}', '{1,0}', 1, '2')""",
        [ID, NOW],
    )
    found = superuser.execute("SELECT shadow, shadow_version FROM log.predictions ORDER BY row_index").fetchall()
    assert found == [(None, None), (1, "2")]


@pytest.mark.parametrize("days", ["0", "-1", "40000", "x", ""])
def test_a_retention_that_cant_be_is_refused(stack, days):
    with pytest.raises(Exception) as failure:  # noqa: PT011 (the program's)
        apply(stack, PENGUINS_LOG_RETENTION_DAYS=days)
    assert "retention" in failure.value.stderr.lower() or "integer" in failure.value.stderr


def test_traffic_is_added_up(superuser, shipper):
    for rows, latency in ((3, 2.0), (4, 5.0), (1, 1.0)):
        traffic(shipper, rows, latency)
    found = superuser.execute(
        "SELECT class, rows, outside, missing, latency_ms_sum, latency_ms_max FROM log.traffic ORDER BY 1"
    )
    assert found.fetchall() == [("a", 8, 0, 0, 8.0, 5.0), ("b", 8, 3, 0, 3.0, 1.0)]


@pytest.mark.usefixtures("superuser")
@pytest.mark.parametrize(("rows", "latency"), [(-1, 1.0), (1, -1.0), (1, float("nan")), (1, float("inf")), (None, 1.0)])
def test_traffic_cant_be_taken_away(shipper, rows, latency):
    traffic(shipper, 3)
    with pytest.raises((psycopg.errors.InvalidParameterValue, psycopg.errors.NotNullViolation)):
        traffic(shipper, rows, latency)


@pytest.mark.usefixtures("superuser")
def test_the_latest_truth_counts_and_its_history_stays(shipper, penguins):
    said = [("a", 1, 1), ("b", 3, 2), ("c", 2, 3), ("a", 1, 1), ("c", 3, 4)]  # class, from when it holds, when received
    for name, at, received in said:
        shipper.execute(
            SAY + "(%s, 0, %s, %s, 'ada', %s, 'm') ON CONFLICT DO NOTHING",
            [ID, name, NOW + timedelta(hours=at), NOW + timedelta(hours=received)],
        )
    assert penguins.execute("SELECT class FROM log.truth").fetchall() == [("c",)]
    assert penguins.execute("SELECT count(*) FROM log.feedback").fetchone() == (4,)


@pytest.mark.usefixtures("superuser")
def test_truth_about_another_model_hides_none(shipper, penguins):
    """As of a client that has sent a file about the wrong model first, and then about the right one."""
    for model, at in (("other", 3), ("m", 1), ("other", 1)):
        shipper.execute(
            SAY + "(%s, 0, 'a', %s, 'ada', %s, %s) ON CONFLICT DO NOTHING", [ID, NOW + timedelta(at), NOW, model]
        )
    assert penguins.execute("SELECT model FROM log.truth ORDER BY 1").fetchall() == [("m",), ("other",)]
    assert penguins.execute("SELECT count(*) FROM log.feedback").fetchone() == (3,)


def test_a_log_from_before_gets_the_key_with_the_model(stack, superuser, shipper):
    superuser.execute(
        """ALTER TABLE log.feedback DROP CONSTRAINT feedback_pkey,
               ADD PRIMARY KEY (prediction_id, row_index, at, class, who)"""
    )
    shipper.execute(SAY + "(%s, 0, 'a', %s, 'ada', %s, 'other')", [ID, NOW, NOW])
    for _ in range(2):
        apply(stack)
    for model in ("other", "m"):
        shipper.execute(SAY + "(%s, 0, 'a', %s, 'ada', %s, %s) ON CONFLICT DO NOTHING", [ID, NOW, NOW, model])
    assert superuser.execute("SELECT model FROM log.feedback ORDER BY 1").fetchall() == [("m",), ("other",)]


def swapped(connection: psycopg.Connection, version: str, at: datetime = NOW, **others: Any) -> None:
    event = {"host": "here\x1b[0m", "event": "swapped", "origin": "registry", "asked_at": None} | others
    connection.execute(
        """INSERT INTO log.events (at, host, model, version, event, reason, detail, origin, asked_at)
           VALUES (%s, %s, 'followed', %s, %s, '', '', %s, %s)""",
        [at, event["host"], version, event["event"], event["origin"], event["asked_at"]],
    )


def moves(connection: psycopg.Connection) -> list[tuple]:
    """Return the entries about the model of `swapped`."""
    return connection.execute(
        "SELECT action, from_version, to_version FROM audit.promotions WHERE model = 'followed' ORDER BY id"
    ).fetchall()


def decide(connection: psycopg.Connection, version: str) -> None:
    """Decide for a version, to the end."""
    connection.execute(
        """WITH made AS (
               INSERT INTO audit.promotions (model, who, action, to_version, reason, numbers)
               VALUES ('followed', 'ada', 'promote', %s, 'why', '{}') RETURNING id
           ) INSERT INTO audit.settled (promotion) SELECT id FROM made""",
        [version],
    )


@pytest.mark.usefixtures("superuser")
def test_a_move_that_nobody_decided_is_entered_in_the_trail_once(shipper, penguins):
    later = datetime.now(UTC) + timedelta(minutes=5)
    penguins.execute(
        """INSERT INTO audit.promotions (model, who, action, to_version, reason, numbers)
           VALUES ('followed', 'ada', 'promote', '1', 'why', '{}'), ('followed', 'ada', 'refuse', '2', 'why', '{}')"""
    )
    decided = [("promote", None, "1"), ("refuse", None, "2")]
    swapped(shipper, "1", later)
    swapped(shipper, "2", NOW - timedelta(days=1))  # what was decided since counts
    swapped(shipper, "2", later, origin="cache")
    swapped(shipper, "2", later, event="refused")
    swapped(shipper, "2", later + timedelta(days=1))
    assert moves(penguins) == decided
    for _ in range(3):  # one event of each process of the service
        swapped(shipper, "2", later)
    assert moves(penguins) == [*decided, ("found", "1", "2")]
    who = "SELECT who, db_user FROM audit.promotions WHERE model = 'followed' AND action = 'found'"
    assert penguins.execute(who).fetchall() == [("the service on here[0m", "shipper")]


@pytest.mark.usefixtures("superuser")
def test_news_from_before_a_decision_moves_nothing(shipper, penguins):
    """The service has asked, and loads; somebody decides; then the service tells of a version that is gone."""
    asked = datetime.now(UTC)
    decide(penguins, "3")
    later = datetime.now(UTC) + timedelta(minutes=5)
    swapped(shipper, "2", later, asked_at=asked)
    swapped(shipper, "3", later, asked_at=later)
    assert moves(penguins) == [("promote", None, "3")]
    swapped(shipper, "2", later, asked_at=later)
    assert moves(penguins)[1:] == [("found", "3", "2")]


@pytest.mark.usefixtures("superuser")
def test_moves_that_arrive_at_once_are_all_entered(shipper, penguins):
    """PostgreSQL was away while somebody moved the alias several times; workers tell of it in any order."""
    decide(penguins, "1")
    begin = datetime.now(UTC)
    news = [("2", 2), ("3", 3), ("2", 2), ("1", 1), ("3", 3), ("4", 4)]
    with shipper.transaction():
        for version, second in news:
            swapped(shipper, version, begin + timedelta(minutes=1), asked_at=begin + timedelta(milliseconds=second))
    assert moves(penguins)[1:] == [("found", "1", "2"), ("found", "2", "3"), ("found", "3", "4")]


@pytest.mark.usefixtures("superuser")
@pytest.mark.parametrize("version", ["", "x", "1; DROP", "\x1b[2J", "1" * 19, "²"])
def test_what_is_no_version_is_not_entered(shipper, penguins, version):
    swapped(shipper, version)
    assert moves(penguins) == []


@pytest.mark.usefixtures("superuser")
def test_a_decision_under_way_enters_the_move_itself(shipper, penguins):
    penguins.execute("SELECT pg_advisory_lock(hashtext('production of followed'))")
    swapped(shipper, "2")
    assert penguins.execute("SELECT FROM audit.promotions WHERE model = 'followed'").fetchall() == []

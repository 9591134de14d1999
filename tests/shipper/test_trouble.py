"""Bad days: killed shippers, a database that comes and goes, damage, altered tables, a folder that can't be written."""

import os
import random
import signal
import stat
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr

from contract.counters import SHIPPER, SHIPPER_FILE, read_counters
from contract.rows import RowFormat
from contract.segments import COUNTERS, DAMAGED, READY, DamageError, encode_block, encode_header
from local import postgres
from shipper.database import Database, connect
from tests.shipper.conftest import set_aside, start, superuser, wait_for, waiting
from tests.shipper.segments import NOW, event, header, lines, predictions, put, rows, truth

pytestmark = pytest.mark.usefixtures("connection")


def count(connection: psycopg.Connection) -> tuple[int, int]:
    """Return the number of rows, and of different ones."""
    counted = connection.execute("SELECT count(*), count(DISTINCT (prediction_id, row_index)) FROM log.predictions")
    return counted.fetchone()


def stop(process) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_two_shippers_bring_in_each_segment_once(connection, folder, settings):
    expected = sum(len(predictions(folder, 200, blocks=2)[1]) for _ in range(60))
    for _ in range(20):
        lines(folder, "events", [event()])
    shippers = [start(settings) for _ in range(2)]
    try:
        for _ in range(40):
            expected += len(predictions(folder, 100)[1])
            time.sleep(0.02)
        wait_for(lambda: not waiting(folder))
    finally:
        for process in shippers:
            stop(process)
    assert count(connection) == (expected, expected)
    assert connection.execute("SELECT sum(rows) FROM log.traffic").fetchone() == (expected,)
    assert connection.execute("SELECT count(*) FROM log.events").fetchone() == (20,)
    assert set_aside(folder) == {}
    assert "another shipper works on this folder" in (folder.parent / "shipper.log").read_text()


def test_a_shipper_that_is_killed_twenty_times_loses_and_repeats_nothing(connection, folder, settings):
    chance = random.Random(14)  # noqa: S311 (not a secret)
    expected = 0
    for _ in range(20):
        for _ in range(3):
            expected += len(predictions(folder, 2000)[1])
        process = start(settings)
        before = len(waiting(folder))
        wait_for(lambda was=before: len(waiting(folder)) < was)
        time.sleep(chance.random() * 0.1)
        process.kill()
        process.wait()
    expected += len(predictions(folder, 2000)[1])  # so that the last one has begun once nothing waits
    process = start(settings)
    wait_for(lambda: not waiting(folder))
    stop(process)
    assert count(connection) == (expected, expected)
    assert connection.execute("SELECT sum(rows) FROM log.traffic").fetchone() == (expected,)
    assert set_aside(folder) == {}


def test_postgresql_may_go_and_come_back(log_stack, folder, shipping, caplog):
    caplog.set_level("INFO", logger="shipper")
    with shipping():
        predictions(folder)
        wait_for(lambda: not waiting(folder))
        log_stack.stop("postgres")
        expected = [predictions(folder)[0] for _ in range(5)]
        wait_for(lambda: "PostgreSQL can't be used" in caplog.text)
        time.sleep(1.5)
        assert sorted(waiting(folder)) == sorted(map(str, expected))
        log_stack.start("postgres")
        wait_for(lambda: not waiting(folder))
    with superuser(log_stack) as connection:
        assert count(connection) == (60, 60)
    assert set_aside(folder) == {}
    told = [record.getMessage() for record in caplog.records if record.name.startswith("shipper")]
    assert sum("refused" in line for line in told if line.startswith("waiting")) <= 1
    assert len([line for line in told if line.startswith("recovered")]) >= 1


def test_postgresql_may_restart_in_the_middle_of_a_segment(log_stack, folder, shipping):
    expected = sum(len(predictions(folder, 5000, blocks=20)[1]) for _ in range(2))
    copying = "SELECT FROM pg_stat_progress_copy WHERE tuples_processed > 1000"
    with shipping():
        with superuser(log_stack) as connection:
            wait_for(lambda: connection.execute(copying).fetchall())
        log_stack.stop("postgres")
        assert len(waiting(folder)) == 2
        log_stack.start("postgres")
        wait_for(lambda: not waiting(folder), 120)
    with superuser(log_stack) as connection:
        assert count(connection) == (expected, expected)


def test_the_shipper_ends_at_once_and_a_half_segment_doesnt_arrive(connection, folder, settings):
    predictions(folder, 5000, blocks=40)
    process = start(settings)
    wait_for(lambda: connection.execute("SELECT FROM pg_stat_progress_copy WHERE tuples_processed > 1000").fetchall())
    began = time.monotonic()
    stop(process)
    assert time.monotonic() - began < 5
    assert count(connection) == (0, 0)
    assert len(waiting(folder)) == 1


def test_the_whole_blocks_of_a_segment_that_was_cut_off_arrive(connection, folder, shipping):
    head = header()
    blocks = [encode_block(rows(head, [uuid4() for _ in range(10)])) for _ in range(3)]
    start_ = encode_header(head)
    for length in (0, len(blocks[0]), len(blocks[0]) + 5, len(blocks[0]) * 2 - 1, len(blocks[0]) * 2):
        put(folder, "predictions", start_ + b"".join(blocks)[:length])
    with shipping():
        wait_for(lambda: not waiting(folder))
    assert count(connection)[0] == 10 + 10 + 10 + 20
    assert set_aside(folder) == {}


def test_no_flipped_bit_arrives(connection, folder, settings):
    chance = random.Random(14)  # noqa: S311 (not a secret)
    name, ids = predictions(folder, 4, blocks=2)
    content = (folder / READY / str(name)).read_bytes()
    with connect(settings.database_url.get_secret_value()) as own:
        database = Database(own)
        for place in [*range(40), *chance.sample(range(40, len(content)), 200)]:
            damaged = bytearray(content)
            damaged[place] ^= 1 << chance.randrange(8)
            path = folder / "damaged.seg"
            path.write_bytes(damaged)
            with path.open("rb") as file, pytest.raises(DamageError):
                database.ship(name, file, lambda: None)
        assert count(connection) == (0, 0)
        with (folder / READY / str(name)).open("rb") as file:
            assert database.ship(name, file, lambda: None) == len(ids)


def test_a_damaged_segment_is_set_aside_and_the_rest_goes_on(connection, folder, shipping):
    predictions(folder, 10)
    broken, _ = predictions(folder, 10, blocks=3)
    path = folder / READY / str(broken)
    content = path.read_bytes()
    path.write_bytes(content[:-300] + bytes([content[-300] ^ 1]) + content[-299:])
    (folder / READY / "notes.txt").write_text("mine")
    (folder / READY / "predictions-1.seg").write_text("")
    lines(folder, "feedback", [truth()])
    odd = put(folder, "feedback", encode_header(header()))
    predictions(folder, 10)
    with shipping():
        wait_for(lambda: not waiting(folder))
    reasons = set_aside(folder)
    assert set(reasons) == {str(broken), "notes.txt", "predictions-1.seg", str(odd)}
    assert "its checksum differs" in reasons[str(broken)]
    assert "name" in reasons["notes.txt"]
    assert count(connection) == (20, 20)
    assert connection.execute("SELECT count(*) FROM log.feedback").fetchone() == (1,)
    assert read_counters(folder / COUNTERS / SHIPPER_FILE, SHIPPER) == {"shipped": 20, "segments": 3, "damaged": 4}


def test_what_is_no_file_is_set_aside(connection, folder, shipping):
    """A pipe would keep the shipper waiting for somebody who writes into it."""
    names = [predictions(folder)[0] for _ in range(3)]
    for name in names:
        (folder / READY / str(name)).unlink()
    os.mkfifo(folder / READY / str(names[0]))
    (folder / READY / str(names[1])).symlink_to("/etc/hostname")
    (folder / READY / str(names[2])).mkdir()
    odd = [str(names[0]).replace(".seg", "٣.seg"), str(names[0]).replace("f-", "f-0"), "a\n\udcff.seg"]
    for each in odd:
        (folder / READY / each).write_text("")
    predictions(folder, 10)
    with shipping():
        wait_for(lambda: not waiting(folder))
    assert set(set_aside(folder)) == {*map(str, names), *odd}
    assert count(connection) == (10, 10)


def test_what_fits_in_no_index_is_set_aside(connection, folder, shipping):
    chance = random.Random(14)  # noqa: S311 (not a secret)
    long = "".join(chr(chance.randrange(0x20000, 0x2A000)) for _ in range(500))
    broken = lines(folder, "feedback", [truth(**{"class": long, "who": long[:200]})])
    lines(folder, "feedback", [truth()])
    with shipping():
        wait_for(lambda: not waiting(folder))
    assert [*set_aside(folder)] == [str(broken)]
    assert connection.execute("SELECT count(*) FROM log.feedback").fetchone() == (1,)


def test_one_kind_that_postgresql_doesnt_take_stops_no_other(connection, folder, shipping, caplog):
    connection.execute(
        """CREATE FUNCTION log.full() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE 'no space left' USING ERRCODE = 'disk_full'; END $$;
           CREATE TRIGGER mine BEFORE INSERT ON log.feedback FOR EACH ROW EXECUTE FUNCTION log.full()"""
    )
    try:
        with shipping():
            lines(folder, "feedback", [truth()])
            wait_for(lambda: "no space left" in caplog.text)
            predictions(folder, 10)
            wait_for(lambda: len(waiting(folder)) == 1)
            assert count(connection) == (10, 10)
            connection.execute("DROP FUNCTION log.full() CASCADE")
            wait_for(lambda: not waiting(folder))
    finally:
        connection.execute("DROP FUNCTION IF EXISTS log.full() CASCADE")
    assert connection.execute("SELECT count(*) FROM log.feedback").fetchone() == (1,)
    assert set_aside(folder) == {}


def test_a_retention_that_was_deleted_stops_no_segment(connection, folder, shipping, caplog):
    connection.execute("DELETE FROM log.retention")
    try:
        predictions(folder, 10)
        with shipping():
            wait_for(lambda: not waiting(folder))
    finally:
        connection.execute("INSERT INTO log.retention (days) VALUES (90)")
    assert count(connection) == (10, 10)
    assert "retention.failed" in caplog.text


def test_damaged_segments_get_to_another_file_system(connection, folder, shipping):
    with TemporaryDirectory(dir="/dev/shm") as elsewhere:
        (folder / DAMAGED).symlink_to(elsewhere)
        name = put(folder, "events", b"broken")
        predictions(folder, 10)
        with shipping():
            wait_for(lambda: not waiting(folder))
        assert [*set_aside(folder)] == [str(name)]
    assert count(connection) == (10, 10)


def test_rows_that_another_than_the_service_wrote_are_set_aside(connection, folder, shipping):
    head = header()
    for change in ({"version": "2"}, {"model": "wino"}, {"contract": "ee" * 16}, {"fraction": 0.5}):
        other = RowFormat(head.model_copy(update=change))
        payload = rows(other.header, [uuid4()])
        put(folder, "predictions", encode_header(head) + encode_block(payload))
    put(folder, "feedback", encode_header(header()).replace(b"predictions", b"predictionz"))
    table = head.model_copy(update={"prediction_id": uuid4(), "at_us": int(NOW.timestamp() * 1e6) + 1})
    for change in ({"prediction_id": uuid4()}, {"at_us": None}):
        other = head.model_copy(update={"prediction_id": table.prediction_id} | change)
        payload = rows(other, [other.prediction_id or uuid4()])
        put(folder, "predictions", encode_header(table) + encode_block(payload))
    with shipping():
        wait_for(lambda: not waiting(folder))
    assert len(set_aside(folder)) == 7
    assert count(connection) == (0, 0)


TABLE = "ALTER TABLE log.predictions"
ALTERED = [
    (f"{TABLE} DROP COLUMN shadow", f"{TABLE} ADD COLUMN shadow smallint; GRANT INSERT ON log.predictions TO shipper"),
    (f"{TABLE} ALTER COLUMN latency_ms TYPE float8", f"{TABLE} ALTER COLUMN latency_ms TYPE real"),
    (f"{TABLE} ALTER COLUMN row_index TYPE bigint", f"{TABLE} ALTER COLUMN row_index TYPE integer"),
    (f"{TABLE} ALTER COLUMN features TYPE float8[]", f"{TABLE} ALTER COLUMN features TYPE real[]"),
    (f"{TABLE} ALTER COLUMN model TYPE varchar(1)", f"{TABLE} ALTER COLUMN model TYPE text"),
    (f"{TABLE} ADD COLUMN mine int NOT NULL", f"{TABLE} DROP COLUMN mine"),
    (f"{TABLE} ADD CONSTRAINT mine CHECK (class < 0)", f"{TABLE} DROP CONSTRAINT mine"),
    (f"{TABLE} RENAME TO mine", "ALTER TABLE log.mine RENAME TO predictions"),
]


@pytest.mark.parametrize(("change", "undo"), ALTERED)
def test_segments_wait_while_their_table_is_altered(connection, folder, shipping, caplog, change, undo):
    connection.execute(change)
    try:
        predictions(folder)
        with shipping():
            wait_for(lambda: "waiting" in caplog.text)
            lines(folder, "feedback", [truth()])
            wait_for(lambda: len(waiting(folder)) == 1)
            assert "predictions" in caplog.text
            connection.execute(undo)
            wait_for(lambda: not waiting(folder))
    finally:
        if waiting(folder):
            connection.execute(undo)
    assert count(connection) == (10, 10)
    assert set_aside(folder) == {}


@contextmanager
def read_only(folder: Path):
    """Let nobody but root write into the folder and its parts."""
    parts = [folder, *folder.iterdir()]
    modes = {part: stat.S_IMODE(part.stat().st_mode) for part in parts}
    for part in parts:
        part.chmod(0o555)
    yield
    for part, mode in modes.items():
        part.chmod(mode)


def test_segments_of_a_folder_that_cant_be_written_arrive_once(connection, folder, settings):
    drop_root = postgres._as_unprivileged(())
    log = folder.parent / "shipper.log"
    predictions(folder)
    process = start(settings)  # makes the parts of the folder
    wait_for(lambda: not waiting(folder))
    stop(process)
    (folder / COUNTERS / SHIPPER_FILE).chmod(0o666)
    predictions(folder)
    with read_only(folder):
        process = start(settings, drop_root)
        wait_for(lambda: count(connection) == (20, 20))
        wait_for(lambda: "can't be deleted" in log.read_text())
        time.sleep(1)
        stop(process)
        assert len(waiting(folder)) == 1
        assert log.read_text().count("can't be deleted") == 1
        (folder / COUNTERS / SHIPPER_FILE).chmod(0o444)
        process = start(settings, drop_root)
        wait_for(lambda: "the folder can't be used" in log.read_text())
    process.kill()
    process.wait()
    process = start(settings)
    wait_for(lambda: not waiting(folder))
    stop(process)
    assert count(connection) == (20, 20)


def test_a_wrong_password_is_told_once(folder, settings):
    address = settings.database_url.get_secret_value()
    process = start(settings.model_copy(update={"database_url": SecretStr(address.replace("shipper:", "shipper:x"))}))
    log = folder.parent / "shipper.log"
    wait_for(lambda: "password authentication failed" in log.read_text())
    time.sleep(1)
    stop(process)
    assert log.read_text().count("password authentication failed") == 1
    assert address.split(":")[2].split("@")[0] not in log.read_text()

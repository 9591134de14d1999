"""Everything in the segments arrives in PostgreSQL, once."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import psycopg
import pytest

from contract.counters import SHIPPER, SHIPPER_FILE, read_counters
from contract.rows import EPOCH_US, RowFormat
from contract.segments import COUNTERS, READY, LoggedContract, LoggedFeature, encode_block, encode_header
from tests.shipper.conftest import set_aside, wait_for, waiting
from tests.shipper.segments import NOW, WINE, event, header, lines, predictions, put, rows, truth


def ship(shipping, folder):
    """Ship what is ready."""
    with shipping():
        wait_for(lambda: not waiting(folder))


def test_rows_arrive_as_they_were_written(connection, folder, shipping):
    head = header(fraction=0.5)
    ids = [uuid4() for _ in range(50)]
    payload = rows(head, ids)
    put(folder, "predictions", encode_header(head) + encode_block(payload))
    ship(shipping, folder)
    found = connection.execute(
        """SELECT prediction_id, row_index, at, contract, model, version, class, latency_ms, outside, fraction,
               features, probabilities, shadow FROM log.predictions ORDER BY row_index"""
    ).fetchall()
    written = RowFormat(head).decode(payload)
    assert [row[0] for row in found] == ids
    assert [row[1] for row in found] == list(range(50))
    assert {row[2] for row in found} == {NOW}
    assert {row[3:6] for row in found} == {(bytes.fromhex(head.contract), "wine", "1")}
    for place, name in ((6, "class"), (7, "latency_ms"), (8, "outside")):
        assert np.array_equal(np.array([row[place] for row in found], written[name].dtype), written[name])
    assert {(row[9], row[12]) for row in found} == {(0.5, None)}
    for place, name in ((10, "features"), (11, "probabilities")):
        read = np.array([row[place] for row in found], np.float32)
        assert np.array_equal(read, written[name]["values"]["value"], equal_nan=True)
    document = connection.execute("SELECT name, document FROM log.contracts").fetchall()
    assert document == [("wine", WINE.model_dump(mode="json"))]
    assert read_counters(folder / COUNTERS / SHIPPER_FILE, SHIPPER) == {"shipped": 50, "segments": 1, "damaged": 0}


def test_answers_in_the_shadow_arrive_beside_rows_without_any(connection, folder, shipping):
    head = header(shadow="13")
    ids = [uuid4() for _ in range(3)]
    payload = rows(head, ids, shadow=[2, 0, 1])
    put(folder, "predictions", encode_header(head) + encode_block(payload))
    predictions(folder, 2)
    ship(shipping, folder)
    found = connection.execute(
        "SELECT version, shadow, shadow_version FROM log.predictions ORDER BY shadow_version, row_index"
    ).fetchall()
    assert found == [("1", 2, "13"), ("1", 0, "13"), ("1", 1, "13"), ("1", None, None), ("1", None, None)]
    assert set_aside(folder) == {}


def test_truth_and_events_arrive(connection, folder, shipping):
    known = truth(**{"class": "ü\n'\"\\u0000", "who": "a\0b\\u0000", "at": datetime(2026, 1, 1, tzinfo=UTC)})
    lines(folder, "feedback", [known, known, truth(row_index=2**31 - 1)])
    lines(folder, "events", [event(detail=f"{number}, \0") for number in range(3)])
    ship(shipping, folder)
    found = connection.execute("SELECT row_index, class, who, at, received_at FROM log.feedback ORDER BY 1").fetchall()
    assert found == [(0, "ü\n'\"\\u0000", "a�b\\u0000", known.at, NOW), (2**31 - 1, "a", "ada", NOW, NOW)]
    assert connection.execute("SELECT detail, at FROM log.events ORDER BY id").fetchall() == [
        (f"{number}, �", NOW) for number in range(3)
    ]
    assert set_aside(folder) == {}


def test_the_sums_are_those_of_a_scan(connection, folder, shipping):
    for version, fraction in (("1", 1.0), ("2", 0.25)):
        for begin in (0, 3):
            head = header(version=version, fraction=fraction, created_at=NOW - timedelta(hours=begin))
            predictions(folder, 300, head, blocks=3, spread=4.0)
    ship(shipping, folder)
    kept = connection.execute(
        """SELECT contract, model, version, hour, class, rows, outside, missing, latency_ms_sum, latency_ms_max
           FROM log.traffic ORDER BY 3, 4, 5"""
    ).fetchall()
    scanned = connection.execute(
        """SELECT 'wine', model, version, date_trunc('hour', at, 'UTC') AS hour,
               (ARRAY['a', 'b', 'ü'])[class + 1] AS name, count(*), count(*) FILTER (WHERE outside > 0),
               sum((features[1] = 'NaN')::int + (features[2] = 2)::int + (features[3] = 2)::int
                   + (features[4] = 'NaN')::int),
               sum(latency_ms::float8), max(latency_ms)
           FROM log.predictions GROUP BY 1, 2, 3, 4, 5 ORDER BY 3, 4, 5"""
    ).fetchall()
    assert len(kept) > 20
    assert [row[:8] for row in kept] == [row[:8] for row in scanned]
    assert np.allclose([row[8:] for row in kept], [row[8:] for row in scanned])


def test_a_segment_that_has_arrived_before_is_only_deleted(connection, folder, shipping):
    name, ids = predictions(folder)
    content = (folder / READY / str(name)).read_bytes()
    for _ in range(2):
        (folder / READY / str(name)).write_bytes(content)
        ship(shipping, folder)
    assert connection.execute("SELECT count(*) FROM log.predictions").fetchone() == (len(ids),)
    assert connection.execute("SELECT sum(rows) FROM log.traffic").fetchone() == (len(ids),)
    assert connection.execute("SELECT name, kind, rows FROM log.segments").fetchall() == [
        (str(name), "predictions", 10)
    ]


def test_a_contract_may_change_while_segments_wait(connection, folder, shipping):
    changed = LoggedContract(
        name="wine", target="cultivar", classes=("b", "c"), features=(LoggedFeature(name="acid", type="number"),)
    )
    for document, digest in ((WINE, "aa" * 16), (changed, "bb" * 16), (WINE, "aa" * 16)):
        predictions(folder, 5, header(document, digest))
    ship(shipping, folder)
    found = connection.execute(
        "SELECT encode(contract, 'hex'), cardinality(features), count(*) FROM log.predictions GROUP BY 1, 2 ORDER BY 1"
    )
    assert found.fetchall() == [("aa" * 16, 4, 10), ("bb" * 16, 1, 5)]


def test_rows_are_in_partitions_by_day_and_those_of_a_wrong_clock_elsewhere(connection, folder, shipping):
    days = [timedelta(0), timedelta(days=-1), timedelta(days=-4000), timedelta(days=4000)]
    for away in days:
        predictions(folder, 4, header(created_at=NOW + away))
    ship(shipping, folder)
    found = connection.execute("SELECT tableoid::regclass::text, count(*) FROM log.predictions GROUP BY 1 ORDER BY 1")
    names = [f"log.predictions_{NOW + away:%Y%m%d}" for away in reversed(days[:2])]
    assert found.fetchall() == [*((name, 4) for name in names), ("log.predictions_elsewhere", 8)]


def test_a_partition_that_is_missing_loses_nothing(connection, folder, shipping):
    day = f"log.predictions_{NOW:%Y%m%d}"
    with shipping():
        predictions(folder, 1)
        wait_for(lambda: not waiting(folder))
        connection.execute(f"DROP TABLE {day}")
        predictions(folder, 4)
        wait_for(lambda: not waiting(folder))
    where = "SELECT tableoid::regclass::text, count(*) FROM log.predictions GROUP BY 1"
    assert connection.execute(where).fetchall() == [("log.predictions_elsewhere", 4)]
    predictions(folder, 2)
    ship(shipping, folder)
    assert connection.execute(where).fetchall() == [(day, 6)]


def test_a_reader_who_stays_keeps_no_row_from_arriving(connection, log_stack, folder, shipping, monkeypatch):
    """As a notebook that has read the log and holds its transaction; partitions are made once it has ended that."""
    monkeypatch.setattr("shipper.database._RETRY_SECONDS", 0.0)
    day = f"log.predictions_{NOW:%Y%m%d}"
    connection.execute(f"DROP TABLE IF EXISTS {day}")
    with psycopg.connect(log_stack.config.database_url("penguins")) as reader, shipping():
        reader.execute("SELECT FROM log.predictions")
        predictions(folder, 4)
        wait_for(lambda: not waiting(folder))
        where = "SELECT tableoid::regclass::text, count(*) FROM log.predictions GROUP BY 1"
        assert connection.execute(where).fetchall() == [("log.predictions_elsewhere", 4)]
        reader.rollback()
        predictions(folder, 2)
        wait_for(lambda: not waiting(folder))
        assert connection.execute(where).fetchall() == [(day, 6)]


def test_old_days_are_dropped(connection, shipping):
    connection.execute("SELECT log.prepare_days(current_date - 20, current_date)")
    connection.execute("UPDATE log.retention SET days = 10")
    try:
        with shipping():
            oldest = "SELECT min(relname) FROM pg_class WHERE relname ~ '^predictions_[0-9]{8}$'"
            wait_for(
                lambda: connection.execute(oldest).fetchone() == (f"predictions_{NOW - timedelta(days=10):%Y%m%d}",)
            )
    finally:
        connection.execute("UPDATE log.retention SET days = 90")


@pytest.mark.parametrize("value", [EPOCH_US, -EPOCH_US])
def test_a_row_of_any_time_arrives(connection, folder, shipping, value):
    head = header(created_at=datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value + EPOCH_US))
    predictions(folder, 3, head)
    ship(shipping, folder)
    assert connection.execute("SELECT DISTINCT at FROM log.predictions").fetchall() == [(head.created_at,)]

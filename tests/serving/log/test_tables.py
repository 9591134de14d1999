"""Tables are logged by the process that answers them, and wait for the log."""

import os
import signal
import threading
import time
from io import BytesIO
from pathlib import Path

import httpx
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from local.waiting import until
from serving.codecs.media_types import ARROW, CSV, PARQUET
from tests.serving.cached import store
from tests.serving.log.conftest import Start
from tests.serving.log.leaving import Moment, leave, slow_disk
from tests.serving.log.spool import rows, segments, wait_for
from tests.serving.log.test_log import counted
from tests.serving.service import PENGUIN, Service, with_largest_file

pytestmark = pytest.mark.programs

HEADER = ",".join(PENGUIN) + "\n"
LINE = ",".join(map(str, PENGUIN.values())) + "\n"


def send(service: Service, number: int, media_type: str = CSV) -> httpx.Response:
    """Send a table of equal rows."""
    table = pa.table({name: pa.array([float(value)] * number) for name, value in PENGUIN.items()})
    sink = BytesIO((HEADER + LINE * number).encode() if media_type == CSV else b"")
    if media_type == PARQUET:
        pq.write_table(table, sink)
    elif media_type == ARROW:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    return service.http.post("/predict", content=sink.getvalue(), headers={"Content-Type": media_type})


def test_every_row_of_a_table_is_logged(start: Start, spool: Path) -> None:
    service = start()
    for media_type in (CSV, ARROW, PARQUET):
        answer = send(service, 20_000, media_type)
        assert answer.is_success, answer.text
        found = [row for row in rows(spool) if row.id == answer.headers["X-Prediction-Id"]]
        assert [row.index for row in found] == list(range(20_000)), "all are there when the answer is"
        assert {(row.version, row.label, *row.features) for row in found} == {("1", 0, *found[0].features)}
        assert found[0].features == pytest.approx(list(PENGUIN.values()))
        assert 0 < found[0].latency_ms <= found[-1].latency_ms < 120_000
        assert len({row.at for row in found}) == 1
        if media_type == CSV:
            assert answer.text.count("\n") == 20_001
        else:
            schema = (pq.read_table if media_type == PARQUET else _stream)(BytesIO(answer.content)).schema
            assert schema.metadata[b"prediction_id"].decode() == answer.headers["X-Prediction-Id"]
    assert counted(spool)["written"] == counted(spool)["recorded"] == 60_000


def _stream(body: BytesIO) -> pa.Table:
    return pa.ipc.open_stream(body).read_all()


def test_without_a_log_tables_have_no_id(start: Start) -> None:
    found: list[pa.Table] = []
    texts: list[str] = []
    for settings in ({"SERVING_LOG_DIR": ""}, {}):
        service = start(**settings)
        answer = send(service, 2, ARROW)
        found.append(_stream(BytesIO(answer.content)))
        texts.append(send(service, 2).text)
        assert (found[-1].schema.metadata is None) is bool(settings)
        assert ("X-Prediction-Id" in answer.headers) is not bool(settings)
    assert found[0].equals(found[1].replace_schema_metadata(None), check_metadata=True)
    assert texts[0] == texts[1]


def test_a_refused_table_leaves_nothing(start: Start, spool: Path) -> None:
    service = start()
    wrong = (HEADER + LINE * 20_000 + "no,1,1,1\n").encode()
    answer = service.http.post("/predict", content=wrong, headers={"Content-Type": CSV})
    assert answer.status_code == 422
    assert "X-Prediction-Id" not in answer.headers
    assert [path.name for path in (spool / "open").iterdir() if "predictions" in path.name] == []
    assert rows(spool) == []
    assert counted(spool)["recorded"] == 0


def test_a_killed_worker_leaves_nothing(start: Start, spool: Path) -> None:
    service = start()
    send(service, 1)
    before = len(rows(spool))
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(send(service, 400_000)))
    thread.start()

    def part() -> list[Path]:
        return [path for path in (spool / "open").glob("*.part") if path.stat().st_size > 2**20]

    until(part, "a table to be written")
    (launcher,) = psutil.Process(service.process.pid).children()
    for worker in launcher.children():
        os.kill(worker.pid, signal.SIGKILL)
    thread.join()
    assert answers[0].status_code == 422
    assert list((spool / "open").glob("*.part")) == []
    assert len(rows(spool)) == before


def test_a_service_that_is_killed_within_a_table_leaves_nothing(start: Start, spool: Path) -> None:
    service = start()
    thread = threading.Thread(target=_quietly, args=(service,))
    thread.start()
    until(lambda: list((spool / "open").glob("*.part")), "a table to be written")
    os.kill(service.process.pid, signal.SIGKILL)
    thread.join()
    start()
    until(lambda: not list((spool / "open").glob("*.part")), "its segment to be deleted")
    assert rows(spool) == []


def _quietly(service: Service) -> None:
    with pytest.raises(httpx.TransportError):
        send(service, 400_000)


@pytest.mark.parametrize(("moment", "kept"), [("create", 0), ("sync", 10)])
def test_a_client_that_leaves_loses_no_rows_and_no_files(
    start: Start, spool: Path, tmp_path: Path, moment: Moment, kept: int
) -> None:
    """End and count what was begun."""
    service = start(*slow_disk(tmp_path))
    assert send(service, 1).is_success
    before = service.open_files()
    leave(service, tmp_path, moment, "/predict", HEADER + LINE * 10)
    until(lambda: not list((spool / "open").glob("*.part")) and service.open_files() <= before, "its end", 60)
    time.sleep(1.5)
    assert len(rows(spool)) == counted(spool)["written"] == counted(spool)["recorded"] == 1 + kept
    assert list((spool / "open").glob("*.part")) == []
    assert service.open_files() <= before
    assert "request.failed" not in service.log


def test_a_table_waits_for_room(start: Start, spool: Path) -> None:
    service = start(SERVING_LOG_MAX_BYTES=400_000)
    assert send(service, 1000).is_success
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(send(service, 1500)))
    thread.start()
    time.sleep(1.5)
    assert not answers
    for path in segments(spool):
        path.unlink()
    thread.join()
    assert answers[0].is_success
    assert [row.id for row in rows(spool)] == [answers[0].headers["X-Prediction-Id"]] * 1500
    assert counted(spool)["dropped_spool"] == 0


@pytest.mark.parametrize("number", [1500, 3000])
def test_a_table_waits_no_longer_than_it_may(start: Start, spool: Path, number: int) -> None:
    """Nor one that can never have room."""
    service = start(SERVING_LOG_MAX_BYTES=400_000, SERVING_LOG_WAIT_SECONDS=0.5 if number == 1500 else 600)
    send(service, 1000)
    answer = send(service, number)
    assert answer.is_success
    assert answer.text.count("\n") == number + 1
    assert answer.headers["X-Prediction-Id"]
    assert len(rows(spool)) == 1000
    assert counted(spool)["dropped_spool"] == number
    assert f"log.dropped reason=spool rows={number}" in service.log


def test_a_table_is_answered_although_the_disk_is_full(start: Start, spool: Path) -> None:
    service = start(*with_largest_file(150_000), SERVING_LOG_WAIT_SECONDS=0.5)
    answer = send(service, 1000)
    assert answer.is_success, answer.text
    assert rows(spool) == []
    assert counted(spool)["dropped_disk"] == 1000
    assert list((spool / "open").glob("*.part")) == []


def test_a_table_is_answered_without_a_folder(start: Start, tmp_path: Path) -> None:
    (tmp_path / "no").write_text("")
    service = start(SERVING_LOG_DIR=tmp_path / "no", SERVING_LOG_WAIT_SECONDS=0.5)
    answer = send(service, 10)
    assert answer.is_success, answer.text
    assert "rows=10" in service.log


def test_columns_of_tables_can_be_left_out(tmp_path: Path, start: Start, spool: Path) -> None:
    from tests.serving.publisher import known_contract

    features = known_contract().model_dump(mode="json")["features"]
    features[0]["logged"] = False
    send(start(**store(tmp_path / "partly", features=features)), 3)
    for row in wait_for(spool, 3):
        assert row.features[0] != row.features[0]
        assert row.features[1:] == pytest.approx(list(PENGUIN.values())[1:])


def test_only_a_share_of_tables_is_logged(tmp_path: Path, start: Start, spool: Path) -> None:
    service = start(**store(tmp_path / "sampled", log_fraction=0.25))
    ids = [send(service, 2).headers["X-Prediction-Id"] for _ in range(60)]
    found = rows(spool)
    assert 2 < len({row.id for row in found}) < 30
    assert {row.id for row in found} < set(ids)
    assert [row.index for row in found] == [0, 1] * (len(found) // 2), "a table is logged as a whole"
    assert {row.fraction for row in found} == {0.25}
    assert counted(spool)["recorded"] == counted(spool)["written"] == len(found)


def test_a_contract_may_want_no_log_of_tables(tmp_path: Path, start: Start, spool: Path) -> None:
    answer = send(start(**store(tmp_path / "private", log_fraction=0)), 2, ARROW)
    assert _stream(BytesIO(answer.content)).schema.metadata is None
    assert "X-Prediction-Id" not in answer.headers
    assert rows(spool) == []

"""Every answer is in the log once; whatever becomes of the log, requests are answered."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from contract.counters import SERVICE, read_counters
from contract.lines import Event
from local import postgres
from local.waiting import until
from tests.serving.cached import store
from tests.serving.log.conftest import Start
from tests.serving.log.spool import lines, rows, segments, wait_for
from tests.serving.service import PENGUIN, Service, with_largest_file

pytestmark = pytest.mark.programs

FAR = PENGUIN | {"body_mass_g": 20_000}


def counted(spool: Path) -> dict[str, int]:
    """Return the sums of the counters in a spool."""
    found = [read_counters(path, SERVICE) for path in (spool / "counters").glob("*.bin")]
    return {name: sum(each[name] for each in found) for name in SERVICE}


def written(spool: Path, number: int) -> None:
    """Wait until as many predictions are counted as written."""
    until(lambda: counted(spool)["written"] == number, f"{number} predictions to be written")


def ask(service: Service, number: int) -> list[str]:
    """Request predictions, and return their ids."""
    return [service.predict().json()["prediction_id"] for _ in range(number)]


def test_answers_are_logged_as_they_were_given(start: Start, spool: Path) -> None:
    service, before = start(), time.time()
    answers = [service.predict(), service.predict(FAR), service.predict([PENGUIN, FAR, FAR])]
    found = wait_for(spool, 5)
    assert [row.id for row in found] == [answers[index].json()["prediction_id"] for index in (0, 1, 2, 2, 2)]
    assert [row.index for row in found] == [0, 0, 0, 1, 2]
    assert [row.outside for row in found] == [0, 1, 0, 1, 1]
    assert {(row.model, row.version, row.fraction) for row in found} == {("penguins_rf", "1", 1.0)}
    for row, penguin in zip(found, [PENGUIN, FAR, PENGUIN, FAR, FAR], strict=True):
        assert row.features == pytest.approx(list(penguin.values()))
        assert 0 < row.latency_ms < 5000
        assert before - 1 <= row.at <= time.time() + 1
    for answer, of_it in zip(answers, ([0], [1], [2, 3, 4]), strict=True):
        content = answer.json()
        assert [found[each].label for each in of_it] == content["prediction"]
        for each, shares in zip(of_it, content["probabilities"], strict=True):
            assert found[each].probabilities == pytest.approx(list(shares.values()))


def test_the_id_is_in_body_and_header(start: Start) -> None:
    service = start()
    for body in (PENGUIN, [PENGUIN] * 2, [PENGUIN] * 2000):
        answer = service.predict(body)
        assert [*answer.json()][-1] == "prediction_id"
        assert answer.json()["prediction_id"] == answer.headers["X-Prediction-Id"]
    assert "X-Prediction-Id" not in service.predict({}).headers
    assert "X-Prediction-Id" not in service.http.get("/model").headers


def test_answers_differ_by_the_id_only(start: Start, tmp_path: Path) -> None:
    logged = start()
    (tmp_path / "other").mkdir()
    with Service(tmp_path / "other", **store(tmp_path / "cache"), SERVING_POLL_SECONDS=60) as plain:
        for body in (PENGUIN, FAR, [PENGUIN, FAR], [PENGUIN] * 1000, {}, []):
            with_id, without = logged.predict(body), plain.predict(body)
            assert "prediction_id" not in without.text
            assert "x-prediction-id" not in without.headers
            assert re.sub(r',"prediction_id":"[0-9a-f-]{36}"}$', "}", with_id.text) == without.text
        assert not (tmp_path / "other" / "spool").exists()


def test_a_client_may_repeat_its_request_id(start: Start, spool: Path) -> None:
    service = start()
    for _ in range(3):
        answer = service.http.post("/predict", json=PENGUIN, headers={"X-Request-Id": "same"})
        assert answer.headers["X-Request-Id"] == "same"
    assert len({row.id for row in wait_for(spool, 3)}) == 3


def test_a_stop_gives_all_to_the_shipper(start: Start, spool: Path) -> None:
    service = start()
    ids = ask(service, 20)
    service.process.terminate()
    assert service.process.wait() == 0
    assert [row.id for row in rows(spool)] == ids
    assert segments(spool, "open") == []
    assert counted(spool) == {**dict.fromkeys(SERVICE, 0), "recorded": 20, "written": 20}
    assert [event.event for event in lines(spool, Event)] == ["started", "swapped", "stopped"]


def test_a_killed_service_loses_a_moment_and_says_how_much(start: Start, spool: Path) -> None:
    service = start()
    before = ask(service, 10)
    time.sleep(0.2)
    late = ask(service, 3)
    os.kill(service.process.pid, signal.SIGKILL)
    service.process.wait()
    again = start()
    kept = [row.id for row in wait_for(spool, 10)]
    assert kept[:10] == before
    assert kept == (before + late)[: len(kept)]
    lost = 13 - len(kept)
    until(lambda: counted(spool)["lost"] == lost, f"{lost} predictions to be counted as lost; {again.log}")
    assert (f"{lost} predictions were lost" in again.log) == bool(lost)
    assert counted(spool)["recorded"] == 13
    assert rows(spool, "open") == []


def test_a_process_that_lives_keeps_its_segments(start: Start, spool: Path, tmp_path: Path) -> None:
    service = start()
    service.predict()
    written(spool, 1)
    (tmp_path / "second").mkdir()
    with Service(
        tmp_path / "second", **store(tmp_path / "cache"), SERVING_LOG_DIR=spool, SERVING_POLL_SECONDS=60
    ) as second:
        second.predict()
        assert len(wait_for(spool, 2)) == 2
        assert "lost" not in second.log
    assert counted(spool)["lost"] == 0


def test_workers_log_beside_each_other(start: Start, spool: Path) -> None:
    service = start(SERVING_WORKERS=2)
    ids = []

    def both_answered() -> bool:
        answer = service.http.post("/predict", json=PENGUIN, headers={"Connection": "close"})
        ids.append(answer.json()["prediction_id"])
        return len({path.name.split("-")[2] for path in segments(spool) if "predictions" in path.name}) == 2

    until(both_answered, "answers of both workers to be logged")
    assert sorted(row.id for row in wait_for(spool, len(ids))) == sorted(ids)


def test_a_full_spool_is_counted(start: Start, spool: Path) -> None:
    service = start(SERVING_LOG_MAX_BYTES=3000)
    for _ in range(6):
        ask(service, 5)
        time.sleep(0.1)
    until(lambda: counted(spool)["dropped_spool"] > 0, "predictions to be dropped")
    service.process.terminate()
    service.process.wait()
    found = counted(spool)
    assert found["written"] == len(rows(spool)) < 30 == found["written"] + found["dropped_spool"]
    assert "SERVING_LOG_MAX_BYTES" in service.log


def test_a_spool_with_room_again_is_used(start: Start, spool: Path) -> None:
    service = start(SERVING_LOG_MAX_BYTES=6000)
    until(lambda: service.predict() and counted(spool)["dropped_spool"] > 0, "the spool to be full")
    until(lambda: segments(spool), "a segment to be ready")
    before = counted(spool)["written"]

    def shipped() -> bool:
        for path in segments(spool):
            path.unlink()
        service.predict()
        return counted(spool)["written"] > before

    until(shipped, "predictions to be logged again")


def test_a_full_disk_is_counted(start: Start, spool: Path) -> None:
    service = start(*with_largest_file(4000))
    ask(service, 10)
    until(lambda: counted(spool)["written"] == 10, "the first ones, which a file has room for")
    for _ in range(9):
        ask(service, 10)
        time.sleep(0.06)
    service.process.terminate()
    service.process.wait()
    found = counted(spool)
    assert found["dropped_disk"] + found["written"] == 100
    assert len(rows(spool)) == found["written"] > 0
    assert segments(spool, "open") == []


@pytest.mark.parametrize("kind", ["a file", "below a file", "without rights", "read-only"])
def test_without_a_folder_requests_are_answered(start: Start, tmp_path: Path, kind: str) -> None:
    place, read_only = tmp_path / "no", tmp_path / "spool"
    place.write_text("")
    for part in ("ready", "open", "damaged", "counters"):
        (read_only / part).mkdir(parents=True, mode=0o555)
    places = {"a file": place, "below a file": place / "spool", "without rights": Path("/proc/penguins")}
    # root may write everywhere
    command = postgres._as_unprivileged((sys.executable, "-m", "serving")) if kind == "read-only" else ()
    service = start(*command, SERVING_LOG_DIR=places.get(kind, read_only))
    assert service.predict().json()["prediction_id"]
    until(lambda: "log.dropped reason=disk total=1" in service.log, "the dropped prediction in the log")
    assert "log.unwritable" in service.log


def test_a_folder_that_comes_back_is_used(start: Start, spool: Path) -> None:
    spool.write_text("")
    service = start()
    service.predict()
    until(lambda: "log.dropped" in service.log, "a dropped prediction")
    spool.unlink()
    service.predict()
    assert len(wait_for(spool, 1)) == 1
    assert counted(spool)["recorded"] == 2
    assert counted(spool)["dropped_disk"] == 1


def test_segments_that_the_shipper_couldnt_be_given_follow(start: Start, spool: Path) -> None:
    """Without another request."""
    service, asked = start(), 0
    while not list((spool / "open").glob("predictions-*")):  # on a busy machine it may be released before
        if asked:
            (spool / "ready").unlink()
            (spool / "aside").rename(spool / "ready")
        asked += len(ask(service, 3))
        written(spool, asked)
        (spool / "ready").rename(spool / "aside")
        (spool / "ready").write_text("in the way")
    until(lambda: "log.not_released" in service.log, "the service to complain")
    time.sleep(1.2)
    assert service.log.count("log.not_released") == 1
    (spool / "ready").unlink()
    (spool / "aside").rename(spool / "ready")
    assert len(wait_for(spool, asked)) == asked
    assert counted(spool)["lost"] == counted(spool)["dropped_disk"] == 0


def test_a_segment_that_cant_be_adopted_keeps_no_other_one(start: Start, spool: Path) -> None:
    service = start()
    ask(service, 3)
    written(spool, 3)
    os.kill(service.process.pid, signal.SIGKILL)
    service.process.wait()
    (spool / "open" / "events-0000000000000-00000000-1.seg").mkdir()
    again = start()
    assert len(wait_for(spool, 3)) == 3
    assert "log.not_adopted segment=events-0000000000000-00000000-1.seg" in again.log


def test_a_full_buffer_is_counted(start: Start, spool: Path) -> None:
    service = start(SERVING_LOG_BUFFER_BYTES=10_000)
    assert service.predict([PENGUIN] * 1000).json()["prediction_id"]
    ask(service, 3)
    assert len(wait_for(spool, 3)) == 3
    assert counted(spool)["dropped_buffer"] == 1000
    assert counted(spool)["recorded"] == 1003


def test_predictions_that_memory_is_too_little_for_are_counted(start: Start, spool: Path) -> None:
    """The service has too little for the second block of a list, and for a row after it; later ones are logged."""
    code = (
        "import runpy, contract.rows as rows; encode, calls = rows.RowFormat.encode, iter(range(10**9))\n"
        "def fail(*args, **fields):\n"
        "    if next(calls) in (1, 2): raise MemoryError\n"
        "    return encode(*args, **fields)\n"
        "rows.RowFormat.encode = fail; runpy.run_module('serving', run_name='__main__')"
    )
    service = start(sys.executable, "-c", code)
    assert service.predict([PENGUIN] * 9000).is_success
    until(lambda: counted(spool)["dropped_buffer"], "rows of the list to be dropped")
    first = counted(spool)
    assert first["written"] + first["dropped_buffer"] == 9000
    assert 0 < first["written"] < 9000
    ask(service, 1)
    until(lambda: counted(spool)["dropped_buffer"] == first["dropped_buffer"] + 1, "the row to be dropped")
    ask(service, 3)
    assert len(wait_for(spool, first["written"] + 3)) == first["written"] + 3
    assert "log.dropped reason=buffer" in service.log
    assert "too little memory" in service.log


def test_a_clock_set_back_loses_nothing(start: Start, spool: Path) -> None:
    """The service sees a clock that goes back by an hour with each answer."""
    code = (
        "import time, runpy; real, steps = time.time_ns, iter(range(10**9))\n"
        "time.time_ns = lambda: real() - next(steps) * 3600 * 10**9\n"
        "runpy.run_module('serving', run_name='__main__')"
    )
    service = start(sys.executable, "-c", code)
    ids = ask(service, 10)
    found = wait_for(spool, 10)
    assert [row.id for row in found] == ids == sorted(ids)
    assert [row.at for row in found] == sorted((row.at for row in found), reverse=True)


def test_lists_at_full_speed_are_logged_in_flat_memory(start: Start, spool: Path) -> None:
    service = start()
    body = json.dumps([PENGUIN] * 5000)

    def send(number: int) -> None:
        for _ in range(number):
            assert service.http.post("/predict", content=body, headers={"Content-Type": "application/json"}).is_success

    send(10)
    before = service.peak_bytes()
    send(30)
    assert service.peak_bytes() < before + 40 * 2**20
    assert len(wait_for(spool, 200_000)) == 200_000


def test_only_a_share_is_logged(tmp_path: Path, start: Start, spool: Path) -> None:
    own = store(tmp_path / "sampled", log_fraction=0.25)
    service = start(**own)
    ids = [service.predict([PENGUIN] * 2).json()["prediction_id"] for _ in range(200)]
    service.process.terminate()
    service.process.wait()
    found = rows(spool)
    assert {row.fraction for row in found} == {0.25}
    assert 20 < len({row.id for row in found}) < 80
    assert {row.id for row in found} < set(ids)
    assert [row.index for row in found] == [0, 1] * (len(found) // 2), "a request is logged as a whole"
    assert counted(spool)["recorded"] == len(found)


def test_a_contract_may_want_no_log(tmp_path: Path, start: Start, spool: Path) -> None:
    service = start(**store(tmp_path / "private", log_fraction=0))
    assert "prediction_id" not in service.predict().json()
    assert "X-Prediction-Id" not in service.predict().headers
    service.process.terminate()
    service.process.wait()
    assert rows(spool) == []


def test_columns_can_be_left_out(tmp_path: Path, start: Start, spool: Path) -> None:
    from tests.serving.publisher import known_contract

    features: list[dict[str, Any]] = known_contract().model_dump(mode="json")["features"]
    features[1]["logged"] = False
    service = start(**store(tmp_path / "partly", features=features))
    service.predict(FAR)
    service.predict([FAR] * 2)
    for row in wait_for(spool, 3):
        assert row.features[1] != row.features[1], "NaN in the place of a value that is left out"
        assert row.features[3] == 20_000
        assert row.outside == 1


def test_an_unusable_setting_is_explained() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "serving"],
        env=os.environ | {"SERVING_LOG_MAX_BYTES": "0"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "log_max_bytes" in done.stderr.lower()

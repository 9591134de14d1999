"""The state of the log is in metrics and in `/model`; swaps and refusals are in the log."""

import os
import signal
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from contract.counters import SHIPPER, Counters
from contract.lines import Event
from local.waiting import until
from tests.serving.log.conftest import Start
from tests.serving.log.spool import lines, segments, wait_for
from tests.serving.service import PENGUIN, Service

pytestmark = pytest.mark.programs


def metrics(service: Service) -> dict[str, float]:
    """Return the metrics of the log, by name and label."""
    families = text_string_to_metric_families(service.http.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples if "penguins_log" in sample.name]
    return {
        "".join([sample.name.removeprefix("penguins_log_"), *sample.labels.values()]): sample.value
        for sample in samples
    }


def test_metrics_and_status_count_alike(start: Start, spool: Path) -> None:
    service = start(SERVING_LOG_BUFFER_BYTES=10_000)
    service.predict([PENGUIN] * 1000)
    service.predict()
    service.predict([PENGUIN] * 2)
    assert len(wait_for(spool, 3)) == 3
    file = os.open(spool / "counters" / "shipper.bin", os.O_RDWR | os.O_CREAT)
    shipper = Counters(SHIPPER, file)
    shipper.add("shipped", 2)
    shipper.add("damaged")
    time.sleep(1.1)  # the size is measured once a second
    found, status = metrics(service), service.status()["log"]
    size = sum(path.stat().st_size for path in segments(spool))
    assert found.pop("lag_seconds") > 1
    assert status.pop("lag_seconds") > 1
    assert found == {
        "recorded_total": 1003, "written_total": 3, "shipped_total": 2, "lost_total": 0, "damaged_segments_total": 1,
        "dropped_totalbuffer": 1000, "dropped_totalspool": 0, "dropped_totaldisk": 0, "spool_bytes": size,
    }  # fmt: skip
    assert status == {
        "recorded": 1003, "written": 3, "shipped": 2, "lost": 0, "damaged": 1,
        "dropped": {"buffer": 1000, "spool": 0, "disk": 0}, "spool_bytes": size,
    }  # fmt: skip


def test_counts_outlive_processes(start: Start, spool: Path) -> None:
    for number in (1, 2, 3):
        service = start()
        assert service.predict().is_success
        wait_for(spool, number)
        os.kill(service.process.pid, signal.SIGKILL)
        service.process.wait()
    service = start()
    until(lambda: len(list((spool / "counters").iterdir())) == 2, "dead processes to be folded into one file")
    assert metrics(service)["written_total"] == 3
    assert metrics(service)["lost_total"] == 0


def test_the_status_of_one_model_has_no_counters_of_all(start: Start) -> None:
    service = start()
    assert service.status()["log"]["lost"] == 0
    assert "log" not in service.http.get("/models/penguins_rf").json()


def test_without_a_log_nothing_is_said(start: Start) -> None:
    service = start(SERVING_LOG_DIR="")
    assert metrics(service) == {}
    assert "log" not in service.status()


def test_swaps_are_events(start: Start, spool: Path) -> None:
    start(SERVING_LOG_DIR=spool)
    until(lambda: len(lines(spool, Event)) == 2, "the events to be ready")
    started, swapped = lines(spool, Event)
    assert (started.event, started.model, started.version) == ("started", "", "")
    assert (swapped.event, swapped.model, swapped.version) == ("swapped", "penguins_rf", "1")
    assert (swapped.origin, swapped.reason) == ("cache", "")
    assert started.host == swapped.host != ""


def test_events_wait_until_they_can_be_written(start: Start, spool: Path) -> None:
    spool.write_text("")
    start()
    time.sleep(0.5)
    spool.unlink()
    until(lambda: [event.event for event in lines(spool, Event)] == ["started", "swapped"], "the events to be ready")

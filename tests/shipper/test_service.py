"""From a client's request to the database: real service, real shipper, real PostgreSQL."""

import io
import os
import signal
import threading
import time
from contextlib import ExitStack

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest

from contract.segments import READY
from local.waiting import until
from tests.serving.cached import store
from tests.serving.service import PENGUIN, Service
from tests.shipper.conftest import set_aside, start, superuser, waiting

OTHER = {"bill_length_mm": 20.0, "bill_depth_mm": 13.2, "flipper_length_mm": 211, "body_mass_g": 4500}


@pytest.fixture
def service(tmp_path, folder):
    """Start a service that logs, without MLflow."""
    own = store(tmp_path / "cache") | {"SERVING_LOG_DIR": folder, "SERVING_POLL_SECONDS": 60}
    with ExitStack() as running:
        yield lambda: running.enter_context(Service(tmp_path, **own))


def logged(connection):
    """Return class, version and features of the rows by their ids."""
    found = connection.execute(
        "SELECT prediction_id::text, row_index, class, version, features, outside FROM log.predictions"
    ).fetchall()
    by_id = {row[:2]: row[2:] for row in found}
    assert len(by_id) == len(found), "a row is there twice"
    return by_id


def test_every_answer_stands_in_the_database_once(connection, service, shipping):
    asked, answers = service(), {}
    with shipping():
        for _ in range(30):
            answer = asked.http.post("/predict", json=PENGUIN).json()
            answers[answer["prediction_id"], 0] = PENGUIN, answer["prediction"][0]
            answer = asked.http.post("/predict", json=[OTHER, PENGUIN]).json()
            for index, row in enumerate((OTHER, PENGUIN)):
                answers[answer["prediction_id"], index] = row, answer["prediction"][index]
        until(lambda: len(logged(connection)) >= len(answers), "the answers to arrive", 30)
    found = logged(connection)
    assert set(found) == set(answers)
    for key, (label, version, features, outside) in found.items():
        sent, answered = answers[key]
        assert (label, version, outside) == (answered, "1", int(sent is OTHER))
        assert features == pytest.approx(list(sent.values()))


def test_the_rows_of_a_table_arrive(connection, service, shipping):
    random = np.random.default_rng(1)
    table = pa.table({name: random.uniform(30, 60, 5_000) for name in PENGUIN})
    body = io.BytesIO()
    with pyarrow.ipc.new_stream(body, table.schema) as writer:
        writer.write_table(table)
    answer = service().http.post(
        "/predict", content=body.getvalue(), headers={"Content-Type": "application/vnd.apache.arrow.stream"}
    )
    assert answer.status_code == 200
    labels = pyarrow.ipc.open_stream(answer.content).read_all()["prediction"].to_pylist()
    with shipping():
        until(lambda: len(logged(connection)) >= 5_000, "the rows to arrive", 30)
    found = logged(connection)
    identity = answer.headers["X-Prediction-Id"]
    assert [found[identity, index][0] for index in range(5_000)] == labels


@pytest.mark.usefixtures("connection")
def test_kills_and_outages_lose_nothing(folder, service, settings, log_stack):
    """The shipper and PostgreSQL end at any moment while a client asks."""
    asked, answered, done = service(), [], threading.Event()

    def ask():
        while not done.is_set():
            answered.append(asked.http.post("/predict", json=PENGUIN).headers["X-Prediction-Id"])

    client = threading.Thread(target=ask)
    client.start()
    for _ in range(3):
        process = start(settings)
        time.sleep(2)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    process = start(settings)
    log_stack.stop("postgres")
    time.sleep(1)
    log_stack.start("postgres")
    time.sleep(1)
    done.set()
    client.join()
    asked.process.terminate()
    asked.process.wait(30)
    until(lambda: not waiting(folder), "the segments to be shipped", 60)
    process.terminate()
    assert process.wait(30) == 0
    assert set_aside(folder) == {}
    with superuser(log_stack) as again:
        assert set(logged(again)) == {(each, 0) for each in answered}
    assert len(answered) > 100
    assert list((folder / READY).iterdir()) == []

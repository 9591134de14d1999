"""Calls that are made again."""

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest

from penguins_client import Client, UnavailableError
from penguins_client.retries import Retries
from tests.serving.service import PENGUIN, Service


def pause_after(status: int, seconds: float = 60, **headers: str) -> float | None:
    return Retries(seconds).after_response(httpx.Response(status, headers=headers))


def test_a_pause_is_as_long_as_the_service_wants() -> None:
    assert pause_after(503, **{"Retry-After": "7"}) == 7
    assert pause_after(429, **{"Retry-After": "7"}) == 7
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    found = pause_after(503, **{"Retry-After": at})
    assert found is not None
    assert 25 < found <= 30
    assert pause_after(503, **{"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}) == 0
    assert pause_after(503, **{"Retry-After": "61"}) is None  # later than the call may take


@pytest.mark.parametrize("wrong", ["", "soon", "-1", "1e9", "²"])
def test_without_one_the_pauses_grow(wrong: str) -> None:
    retries, answer = Retries(3600), httpx.Response(503, headers={"Retry-After": wrong.encode()})
    pauses = [retries.after_response(answer) for _ in range(8)]
    assert pauses == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10])


@pytest.mark.parametrize("status", [200, 202, 400, 401, 404, 408, 413, 422, 500, 502])
def test_other_answers_are_taken_as_they_are(status: int) -> None:
    assert pause_after(status) is None


@pytest.mark.programs
def test_a_service_without_a_model_is_asked_again_as_often_as_it_says(tmp_path: Path) -> None:
    settings = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "SERVING_CACHE_DIR": tmp_path / "cache"}
    with Service(tmp_path, **settings) as service, Client(str(service.http.base_url), retry_seconds=2.5) as client:
        wanted = int(service.predict().headers["Retry-After"])
        with pytest.raises(UnavailableError, match="503") as failed:
            client.predict(PENGUIN)
        counted = 'penguins_requests_total{method="POST",route="/predict",status="503"} '
        attempts = float(service.http.get("/metrics").text.split(counted)[1].split()[0]) - 1
    assert failed.value.status == 503
    assert attempts == 1 + int(2.5 // wanted)


@pytest.mark.programs
def test_a_service_that_starts_later_is_waited_for(folder: Path) -> None:
    settings = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "SERVING_CACHE_DIR": folder / "cache"}
    service = Service(folder, **settings, SERVING_POLL_SECONDS=60)
    found = []

    def ask() -> None:
        with Client(str(service.http.base_url)) as client:
            found.append(client.predict(PENGUIN).model_version)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.5)
    assert not found
    with service:
        asking.join(30)
        assert found == ["1"]

"""The metrics for Prometheus."""

from typing import Any

from local.waiting import until
from tests.serving.api.conftest import Start, predict, sample, started
from tests.serving.publisher import Publisher
from tests.serving.service import PENGUIN


def test_requests_and_predictions_are_counted(cached: Start) -> None:
    service = cached()
    assert service.predict([PENGUIN] * 3).is_success
    assert predict(service).is_success
    assert service.predict({}).status_code == 422
    service.http.get("/made/up")
    service.http.request("PROPFIND", "/predict")
    assert sample(service, 'penguins_requests_total{method="POST",route="/predict",status="200"}') == 2
    assert sample(service, 'penguins_requests_total{method="POST",route="/predict",status="422"}') == 1
    assert sample(service, 'penguins_requests_total{method="GET",route="other",status="404"}') == 1
    assert sample(service, 'penguins_requests_total{method="other",route="/predict",status="405"}') == 1
    assert sample(service, 'penguins_request_seconds_count{route="/predict"}') == 4
    assert sample(service, 'penguins_predictions_total{species="Adelie",version="1"}') == 4


def test_metrics_report_the_state(publisher: Publisher, start: Start, line: Any) -> None:
    service = started(publisher, start)
    service.polled("up_to_date")
    assert sample(service, 'penguins_model{engine="onnxruntime",version="1"}') == 1
    assert sample(service, 'penguins_reloads_total{outcome="swapped"}') == 1
    assert sample(service, "penguins_ready") == sample(service, "penguins_cache_ok") == 1
    assert 0 <= sample(service, "penguins_poll_age_seconds") < 60
    line.cut()
    service.polled("unavailable")
    age = sample(service, "penguins_poll_age_seconds")
    until(lambda: sample(service, "penguins_poll_age_seconds") > age, "the age of the last answer to grow")
    assert sample(service, 'penguins_polls_total{outcome="unavailable"}') >= 1

"""Health checks and `/model`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from serving.inference.contract import SPECIES
from tests.serving.publisher import Publisher, features, forest
from tests.serving.service import Service

Start = Callable[..., Service]

TAGS = {
    "dag_run_id": "manual__1",
    "git_commit": "abc",
    "holdout_accuracy": "0.9855",
    "holdout_log_loss": "0.05",
    "cv_accuracy_mean": "0.97",
    "holdout_note": "fine",
}


def test_service_without_a_model_is_live_but_not_ready(start: Start) -> None:
    service = start()
    service.polled("no_production")
    assert service.http.get("/health/live").json() == {"status": "live"}
    response = service.http.get("/health/ready")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert response.json()["reason"] == "no_production"
    status = service.status()
    assert (status["status"], status["model"], status["refused"]) == ("waiting", None, None)
    assert status["reason"] == status["last_poll"]["detail"]


def test_status_describes_the_served_model(publisher: Publisher, start: Start) -> None:
    version = publisher.publish(forest(), tags=TAGS)
    publisher.promote(version)
    service = start()
    service.serves(version)
    service.polled("up_to_date")
    assert service.http.get("/health/ready").json() == {"status": "ready", "model_version": version}
    status = service.status()
    assert (status["status"], status["reason"]) == ("serving", None)
    assert (status["registered_model"], status["alias"], status["stage"]) == (
        publisher.model_name,
        "production",
        "Production",
    )
    model = status["model"]
    assert (model["version"], model["engine"], model["origin"]) == (version, "onnxruntime", "registry")
    assert model["run_id"] == publisher.client.get_model_version(publisher.model_name, version).run_id
    assert (model["features"], model["species"]) == (features(), SPECIES)
    assert model["metrics"] == {"holdout_accuracy": 0.9855, "holdout_log_loss": 0.05, "cv_accuracy_mean": 0.97}
    assert model["lineage"] == {"dag_run_id": "manual__1", "git_commit": "abc", "holdout_note": "fine"}
    for at in (model["loaded_at"], status["last_poll"]["at"]):
        assert timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(at) < timedelta(minutes=1)

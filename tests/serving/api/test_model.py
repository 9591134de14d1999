"""`/model`: status and history."""

from datetime import UTC, datetime, timedelta

from tests.serving.api.conftest import Start, started
from tests.serving.penguins import SPECIES
from tests.serving.publisher import Publisher, features, forest

TAGS = {
    "dag_run_id": "manual__1",
    "git_commit": "abc",
    "holdout_accuracy": "0.9855",
    "holdout_log_loss": "0.05",
    "cv_accuracy_mean": "0.97",
    "holdout_note": "fine",
}


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
    kept = [{name: feature[name] for name in ("name", "unit", "min", "max")} for feature in model["features"]]
    assert kept == features()
    limits = dict.fromkeys(("minimum", "maximum", "exclusive_maximum")) | {"exclusive_minimum": 0}
    assert all(feature["bounds"] == limits for feature in model["features"])
    assert (model["species"], model["classes"], model["answer_key"]) == (SPECIES, SPECIES, "species")
    assert model["metrics"] == {"holdout_accuracy": 0.9855, "holdout_log_loss": 0.05, "cv_accuracy_mean": 0.97}
    assert model["lineage"] == {"dag_run_id": "manual__1", "git_commit": "abc", "holdout_note": "fine"}
    for at in (model["loaded_at"], status["last_poll"]["at"]):
        assert timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(at) < timedelta(minutes=1)


def test_history_lists_the_serving_periods(publisher: Publisher, start: Start) -> None:
    service = started(publisher, start)
    publisher.promote(second := publisher.publish(forest(1)))
    service.serves(second)
    history = service.http.get("/model/history").json()
    assert history["process"] == service.process.pid
    latest, first = history["served"]
    assert (latest["version"], latest["until"]) == (second, None)
    assert (first["version"], first["until"]) == ("1", latest["since"])
    assert first["since"] < first["until"]

"""Several registered models: each is followed, refused, kept on disk and swapped by itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.waiting import until
from serving.codecs.media_types import CSV
from serving.reload.names import Names
from serving.settings import Settings
from tests.serving import mixed
from tests.serving.api.conftest import sample
from tests.serving.line import Line
from tests.serving.publisher import Publisher, forest
from tests.serving.service import PENGUIN, Service

Start = Callable[..., Service]


def other(publisher: Publisher, url: str, suffix: str) -> Publisher:
    """Return another registered model of this test."""
    return Publisher(url, f"{publisher.model_name}_{suffix}")


def mixed_files(files: dict[str, bytes]) -> None:
    """Replace the files of a version by those of another contract."""
    files.update(mixed.files())


def states(service: Service) -> dict[str, Any]:
    """Return the served version of each model, or the reason for none."""
    models = service.http.get("/models").json()["models"]
    return {each["name"]: each["version"] or each["reason"] for each in models}


def ask(service: Service, publisher: Publisher, body: Any) -> httpx.Response:
    """Request a prediction of one model."""
    return service.http.post(f"/models/{publisher.model_name}/predict", json=body)


def test_models_are_served_side_by_side(
    publisher: Publisher, mlflow_url: str, start: Start, line: Line, tmp_path: Path
) -> None:
    grapes, third = other(publisher, mlflow_url, "grapes"), other(publisher, mlflow_url, "third")
    publisher.promote(publisher.publish(forest()))
    grapes.promote(grapes.publish(forest(), mixed_files))
    file = tmp_path / "models"
    own = {"SERVING_MODELS": f"{publisher.model_name},{grapes.model_name}", "SERVING_MODELS_FILE": file}
    service = start(**own)
    until(lambda: states(service) == {publisher.model_name: "1", grapes.model_name: "1"}, "both to serve")
    row = mixed.as_json(mixed.ROWS[0])
    assert ask(service, grapes, row).json()["kind of grape"] == ["🍇"]
    assert ask(service, publisher, PENGUIN).content == service.predict().content
    assert ask(service, grapes, PENGUIN).status_code == 422
    assert ask(service, third, PENGUIN).status_code == 404
    assert service.http.get(f"/models/{third.model_name}/points").status_code == 404
    for part in ("", "/history", "/points"):
        assert service.http.get(f"/models/{grapes.model_name}{part}").is_success
    assert service.http.get(f"/models/{grapes.model_name}").json()["model"]["answer_key"] == "kind of grape"
    paths = service.http.get("/openapi.json").json()["paths"]
    assert {f"/models/{each.model_name}/predict" for each in (publisher, grapes)} <= paths.keys()
    table = mixed.encoded(mixed.table(), CSV)
    answered = service.http.post(f"/models/{grapes.model_name}/predict", content=table, headers={"content-type": CSV})
    assert answered.text.startswith('prediction,kind of grape,"probability_red')

    # One that can't be served, and one that comes later, leave the others as they are.
    third.promote(third.publish(forest(), after=lambda files: files.pop("inference/model.onnx")))
    file.write_text(f"{third.model_name}\n")
    until(lambda: "was refused" in (states(service).get(third.model_name) or ""), "the third to be refused")
    third.promote(third.publish(forest(1)))
    grapes.promote(grapes.publish(forest(), lambda files: files.update(mixed.files(1))))
    expected = {publisher.model_name: "1", grapes.model_name: "2", third.model_name: "2"}
    until(lambda: states(service) == expected, "two models to swap")
    assert service.predict().json()["model_version"] == "1"
    assert service.http.get("/health/ready").json()["model_version"] == "1"
    count = 'penguins_predictions_total{species="Adelie",version="1"}'
    assert sample(service, count) == 3
    assert sample(service, f'penguins_model_ready{{model="{grapes.model_name}"}}') == 1
    assert sample(service, 'penguins_requests_total{method="POST",route="/models/{model}/predict",status="422"}') == 1
    assert "Traceback" not in service.log

    line.cut()
    again = start(**own)
    until(lambda: states(again) == expected, "all copies on disk to serve without MLflow")
    assert ask(again, grapes, row).is_success
    file.write_text("")
    until(lambda: third.model_name not in states(again), "the removed model to go")
    assert ask(again, third, PENGUIN).status_code == 404


def test_names_come_from_the_settings_and_a_file(tmp_path: Path) -> None:
    file = tmp_path / "models"
    assert Names(Settings(model_name="a")).current() == ("a",)
    names = Names(Settings(model_name="x", models="b,a,b", models_file=file))
    assert names.current() == ("b", "a")
    file.write_text("c\n\n a \nd")
    assert names.current() == ("b", "a", "c", "d")
    file.write_text("c\n../d\n")
    assert names.current() == ("b", "a", "c", "d")  # a mistake ends no model
    file.write_text("c\n")
    assert names.current() == ("b", "a", "c")
    file.unlink()
    assert names.current() == ("b", "a", "c")


def test_a_wrong_name_in_the_file_keeps_no_other_one_out(tmp_path: Path) -> None:
    file = tmp_path / "models"
    file.write_text(f"red wine\n../c\na:b\n{'d' * 257}\n e\n")
    assert Names(Settings(model_name="a", models_file=file)).current() == ("a", "red wine", "e")


@pytest.mark.parametrize("models", ["a/b", "a b", "a'b", 'a"'])
def test_names_that_no_path_can_have_are_refused(models: str) -> None:
    with pytest.raises(ValueError, match="models"):
        Settings(models=models)

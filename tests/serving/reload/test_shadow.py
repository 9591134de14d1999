"""The version in the shadow answers the same rows, in the log only, and never harms the one that serves."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.lines import Event
from local.waiting import until
from tests.serving import mixed
from tests.serving.api.conftest import sample
from tests.serving.log.spool import lines, rows, wait_for
from tests.serving.publisher import Publisher, forest, penguins
from tests.serving.service import PENGUIN, Service

Start = Callable[..., Service]

CHINSTRAPS = {name: [float(row[place]) for row in penguins(0)[0][100:200]] for place, name in enumerate(PENGUIN)}
LIST = [dict(zip(PENGUIN, values, strict=True)) for values in zip(*CHINSTRAPS.values(), strict=True)]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """The folder of the spool."""
    return tmp_path / "spool"


def put_in_shadow(publisher: Publisher, version: str) -> None:
    """Give a version the alias that the service looks for."""
    publisher.client.set_registered_model_alias(publisher.model_name, "shadow", version)


def shadowed(service: Service, version: str | None) -> None:
    """Wait until a version answers in the shadow; None for none."""
    until(
        lambda: (service.status().get("shadow") or {}).get("version") == version,
        f"version {version} to answer in the shadow; the log:\n{service.log}",
    )


def refused(service: Service, version: str) -> dict[str, Any]:
    """Wait until a version is not let into the shadow, and return the refusal."""

    def found() -> dict[str, Any] | None:
        refusal: dict[str, Any] | None = service.status().get("shadow_refused")
        return refusal if refusal and refusal["version"] == version else None

    return until(found, f"version {version} to be refused; the log:\n{service.log}")


def without_id(service: Service, body: Any) -> str:
    """Return an answer without its id."""
    return re.sub(r',"prediction_id":"[0-9a-f-]{36}"}$', "}", service.predict(body).text)


def test_its_answers_are_logged_and_never_returned(publisher: Publisher, start: Start, spool: Path) -> None:
    other = forest(1, max_depth=1)
    publisher.promote(publisher.publish(forest()))
    service = start(SERVING_LOG_DIR=spool)
    service.serves("1")
    assert not {"shadow", "shadow_refused"} & service.status().keys()
    answers = [without_id(service, PENGUIN), without_id(service, LIST)]
    alone = len(wait_for(spool, 102))
    put_in_shadow(publisher, publisher.publish(other))
    shadowed(service, "2")
    assert [without_id(service, PENGUIN), without_id(service, LIST)] == answers
    found = wait_for(spool, alone + 101)
    assert {(row.version, row.shadow_version, row.shadow) for row in found[:alone]} == {("1", None, None)}
    again = np.array([row.features for row in found[alone:]], np.float32)
    assert len(again) == 101
    assert {(row.version, row.shadow_version) for row in found[alone:]} == {("1", "2")}
    assert [row.label for row in found[alone:]] == forest().predict(again).tolist()
    assert [row.shadow for row in found[alone:]] == other.predict(again).tolist()
    differ = int((other.predict(again) != forest().predict(again)).sum())
    assert differ  # else the test shows nothing
    name = f'penguins_shadow_predictions_total{{model="{publisher.model_name}",outcome="%s",version="2"}}'
    assert (sample(service, name % "other"), sample(service, name % "same")) == (differ, 101 - differ)
    assert sample(service, f'penguins_shadow{{model="{publisher.model_name}",version="2"}}') == 1

    publisher.client.delete_registered_model_alias(publisher.model_name, "shadow")
    shadowed(service, None)
    service.predict()
    assert wait_for(spool, alone + 102)[-1].shadow is None
    until(lambda: len(lines(spool, Event)) >= 4, "the events to be ready")
    assert [(each.event, each.version) for each in lines(spool, Event)] == [
        ("started", ""),
        ("swapped", "1"),
        ("shadowed", "2"),
        ("shadow_ended", "2"),
    ]


def other_contract(files: dict[str, bytes]) -> None:
    """Replace the files of a version by those of another contract."""
    files.update(mixed.files())


def tampered(files: dict[str, bytes]) -> None:
    """Change a file of a version."""
    files["inference/model.onnx"] += b"x"


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [(other_contract, None, "other_contract"), (None, tampered, "digest_mismatch")],
    ids=["another contract", "tampered"],
)
def test_one_that_cant_answer_is_refused(
    publisher: Publisher, start: Start, spool: Path, before: Any, after: Any, code: str
) -> None:
    publisher.promote(publisher.publish(forest()))
    service = start(SERVING_LOG_DIR=spool)
    service.serves("1")
    put_in_shadow(publisher, publisher.publish(forest(1), before, after))
    refusal = refused(service, "2")
    assert refusal["code"] == code
    assert service.status()["refused"] is None
    assert service.predict().json()["model_version"] == "1"
    assert sample(service, f'penguins_shadow_refused{{code="{code}",model="{publisher.model_name}",version="2"}}') == 1
    assert "Traceback" not in service.log
    put_in_shadow(publisher, publisher.publish(forest(2)))
    shadowed(service, "3")
    assert "shadow_refused" not in service.status()

    # A promotion of it ends its shadow, though it still has the alias, and one of another contract does so as well.
    publisher.promote("3")
    service.serves("3")
    shadowed(service, None)
    publisher.promote("1")
    service.serves("1")
    shadowed(service, "3")
    publisher.promote(publisher.publish(forest(), other_contract))
    until(lambda: service.status()["model"]["version"] == "4", "another contract to serve")
    assert refused(service, "3")["code"] == "other_contract"
    assert "shadow" not in service.status()


def test_without_a_log_there_is_no_shadow(publisher: Publisher, start: Start) -> None:
    publisher.promote(publisher.publish(forest()))
    put_in_shadow(publisher, publisher.publish(forest(1)))
    service = start()
    service.serves("1")
    for _ in range(3):
        at = service.status()["last_poll"]["at"]
        until(lambda at=at: service.status()["last_poll"]["at"] > at, "another poll")  # type: ignore[misc]
    assert "shadow" not in service.status()


def test_one_of_several_models_has_a_shadow(publisher: Publisher, mlflow_url: str, start: Start, spool: Path) -> None:
    second = Publisher(mlflow_url, f"{publisher.model_name}_2")
    for each in (publisher, second):
        each.promote(each.publish(forest()))
    put_in_shadow(second, second.publish(forest(1)))
    service = start(SERVING_LOG_DIR=spool, SERVING_MODELS=f"{publisher.model_name},{second.model_name}")
    status = f"/models/{second.model_name}"
    until(lambda: service.http.get(status).json().get("shadow"), "the second model's shadow")
    assert "shadow" not in service.status()
    service.predict()
    service.http.post(f"{status}/predict", json=PENGUIN)
    wait_for(spool, 2)
    assert {(row.model, row.shadow_version) for row in rows(spool)} == {
        (publisher.model_name, None),
        (second.model_name, "2"),
    }

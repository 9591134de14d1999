"""The service follows the registry: it loads the version in Production, and refuses unsound versions."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from contract.lines import Event as LogEvent
from local.waiting import until
from tests.serving.line import Line
from tests.serving.log.spool import lines
from tests.serving.penguins import SPECIES
from tests.serving.publisher import Edit, Publisher, contract, features, forest, inference_files, onnx
from tests.serving.service import PENGUIN, Service

Start = Callable[..., Service]

CONTRACT = "inference/contract.json"
MODEL = "inference/model.onnx"


def probabilities(model: RandomForestClassifier) -> Any:
    """Return the expected probabilities for `PENGUIN`."""
    row = np.array([list(PENGUIN.values())], dtype=np.float32)
    return pytest.approx(dict(zip(SPECIES, model.predict_proba(row)[0], strict=True)), abs=2e-6)


def promoted(publisher: Publisher, start: Start, **settings: object) -> tuple[Service, str]:
    """Start a service with a first version in Production; return both."""
    version = publisher.publish(forest())
    publisher.promote(version)
    service = start(**settings)
    service.serves(version)
    return service, version


def test_first_version_is_served_without_restart(publisher: Publisher, start: Start) -> None:
    service = start()
    service.polled("no_production")
    response = service.predict()
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1
    assert response.json() == {
        "reason": "no_production",
        "detail": "no model to serve yet: no version of test_first_version_is_served_without_restart has the alias"
        " production or the stage Production",
    }
    model = forest()
    version = publisher.publish(model)
    publisher.promote(version)
    answer = service.serves(version).json()
    assert answer == {
        "prediction": [0],
        "species": ["Adelie"],
        "probabilities": [probabilities(model)],
        "model_version": version,
        "warnings": [],
    }
    assert service.status()["model"]["engine"] == "onnxruntime"


def test_promotion_swaps_under_load(publisher: Publisher, start: Start) -> None:
    models = {}
    for seed in range(3):
        models[publisher.publish(forest(seed))] = forest(seed)
    first, *others = models
    publisher.promote(first)
    service = start()
    service.serves(first)
    stop = Event()

    def ask() -> list[httpx.Response]:
        answers = []
        with httpx.Client(base_url=service.http.base_url) as client:
            while not stop.is_set():
                answers.append(client.post("/predict", json=PENGUIN))
        return answers

    with ThreadPoolExecutor() as pool:
        clients = [pool.submit(ask) for _ in range(4)]
        for version in [*others, first]:
            publisher.promote(version)
            service.serves(version)
        stop.set()
        answers = [answer for client in clients for answer in client.result()]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["model_version"] for answer in answers} == set(models)
    expected = {version: probabilities(model) for version, model in models.items()}
    assert all(answer.json()["probabilities"] == [expected[answer.json()["model_version"]]] for answer in answers)


def edit_contract(**changes: object) -> Edit:
    """Return an edit that changes fields of the contract."""

    def edit(files: dict[str, bytes]) -> None:
        files[CONTRACT] = json.dumps(json.loads(files[CONTRACT]) | changes).encode()

    return edit


def replace(name: str, content: bytes) -> Edit:
    """Return an edit that replaces the content of a file."""
    return lambda files: files.update({name: content})


def truncate(name: str) -> Edit:
    """Return an edit that removes the last byte of a file."""
    return lambda files: files.update({name: files[name][:-1]})


def remove(name: str) -> Edit:
    """Return an edit that removes a file."""
    return lambda files: files.pop(name)


OTHER_EXAMPLE = contract(forest(7))["example"]
WRONG_LABELS = OTHER_EXAMPLE | {"labels": [2] * len(OTHER_EXAMPLE["labels"])}

UNSOUND = {
    "truncated": (None, truncate(MODEL), "digest_mismatch", "inference/model.onnx has sha256"),
    "changed": (None, edit_contract(species=["A", "B", "C"]), "digest_mismatch", "inference/contract.json has sha256"),
    "not uploaded": (None, remove(MODEL), "file_missing", "inference/model.onnx isn't among"),
    "without onnx": (remove(MODEL), None, "not_vouched_for", "has no digest of inference/model.onnx"),
    "path traversal": (replace("../evil", b""), remove("../evil"), "wrong_signature", "isn't a signature"),
    "not onnx": (replace(MODEL, b"no model"), None, "model_unreadable", "ONNX Runtime can't load it"),
    "zipmap": (replace(MODEL, onnx(forest(), zipmap=True)), None, "signature_mismatch", "its outputs are"),
    "other contract": (edit_contract(contract_version=3), None, "contract_invalid", "formats 1 and 2 can be read"),
    "doubled column": (edit_contract(features=[features()[0]] * 4), None, "contract_invalid", "the same name"),
    "fewer columns": (edit_contract(features=features()[:3]), None, "contract_invalid", "4 values instead of 3"),
    "wrong labels": (edit_contract(example=WRONG_LABELS), None, "example_mismatch", "it labels its example"),
    "wrong probabilities": (edit_contract(example=OTHER_EXAMPLE), None, "example_mismatch", "probabilities differ"),
}


def test_unsound_version_is_refused_and_the_current_one_stays(publisher: Publisher, start: Start) -> None:
    service, sound = promoted(publisher, start)
    for before, after, code, text in UNSOUND.values():
        version = publisher.publish(forest(), before, after)
        publisher.promote(version)
        refused = service.refuses(version)
        assert refused["code"] == code
        assert text in refused["message"]
        assert service.predict().json()["model_version"] == sound
        assert service.log.count(f"model.refused version={version} ") == 1
    publisher.promote(sound)
    service.polled("up_to_date")
    assert service.status()["refused"] is None
    assert "Traceback" not in service.log


def test_swaps_and_refusals_are_in_the_log(publisher: Publisher, start: Start, tmp_path: Path) -> None:
    service, first = promoted(publisher, start, SERVING_LOG_DIR=tmp_path / "spool")
    refused = publisher.publish(forest(), after=truncate(MODEL))
    publisher.promote(refused)
    service.refuses(refused)
    second = publisher.publish(forest(1))
    publisher.promote(second)
    service.serves(second)
    until(lambda: len(lines(tmp_path / "spool", LogEvent)) == 4, "four events to be ready")
    found = [(each.event, each.version, each.reason, each.origin) for each in lines(tmp_path / "spool", LogEvent)]
    assert found == [
        ("started", "", "", ""),
        ("swapped", first, "", "registry"),
        ("refused", refused, "digest_mismatch", ""),
        ("swapped", second, "", "registry"),
    ]


def test_refusal_of_the_only_version_is_the_reason_for_503(publisher: Publisher, start: Start) -> None:
    version = publisher.publish(forest(), after=truncate(MODEL))
    publisher.promote(version)
    service = start()
    service.refuses(version)
    for response in (service.predict(), service.http.get("/health/ready")):
        assert response.status_code == 503
        assert response.json()["reason"] == "digest_mismatch"
    detail = f"version {version} was refused: inference/model.onnx has sha256"
    assert detail in service.predict().json()["detail"]


def test_refused_version_is_not_downloaded_at_every_poll(publisher: Publisher, start: Start) -> None:
    service, _ = promoted(publisher, start)
    version = publisher.publish(forest(), after=truncate(MODEL))
    publisher.promote(version)
    refused = service.refuses(version)
    publisher.overwrite(version, MODEL, inference_files(forest())[MODEL])
    polls = {service.polled("refused")["at"]}
    while len(polls) < 4:
        polls.add(service.polled("refused")["at"])
    assert service.status()["refused"] == refused


def test_repaired_version_is_served_after_the_retry(publisher: Publisher, start: Start) -> None:
    service, _ = promoted(publisher, start, SERVING_RETRY_REFUSED_SECONDS=0.5)
    version = publisher.publish(forest(), after=truncate(MODEL))
    publisher.promote(version)
    service.refuses(version)
    publisher.overwrite(version, MODEL, inference_files(forest())[MODEL])
    service.serves(version)


def test_stage_is_used_without_an_alias(publisher: Publisher, start: Start) -> None:
    first, second = publisher.publish(forest(0)), publisher.publish(forest(1))
    with pytest.warns(FutureWarning, match="stage"):
        publisher.client.transition_model_version_stage(publisher.model_name, first, "Production")
    service = start()
    service.serves(first)
    publisher.promote(second)
    service.serves(second)


def test_recreated_model_is_detected(publisher: Publisher, start: Start) -> None:
    service, version = promoted(publisher, start)
    publisher.client.delete_registered_model(publisher.model_name)
    service.polled("no_production")
    assert service.predict().json()["model_version"] == version
    publisher.client.create_registered_model(publisher.model_name)
    other = forest(5)
    assert publisher.publish(other) == version
    publisher.promote(version)
    service.polled("up_to_date")
    assert service.predict().json()["probabilities"] == [probabilities(other)]


def test_tags_set_after_the_promotion_are_shown(publisher: Publisher, start: Start, line: Line) -> None:
    service, version = promoted(publisher, start)
    publisher.client.set_model_version_tag(publisher.model_name, version, "promoted_by", "eve")

    def tagged(service: Service) -> bool:
        return bool(service.status()["model"]["lineage"].get("promoted_by") == "eve")

    while not tagged(service):
        service.polled("up_to_date")
    line.cut()
    assert tagged(start())


def test_outage_of_mlflow_keeps_the_version(publisher: Publisher, start: Start, line: Line) -> None:
    service, first = promoted(publisher, start)
    second = publisher.publish(forest(1))
    line.cut()
    poll = service.polled("unavailable")
    assert f"MLflow at {line.url} can't be reached" in poll["detail"]
    publisher.promote(second)
    assert service.predict().json()["model_version"] == first
    assert service.http.get("/health/ready").json() == {"status": "ready", "model_version": first}
    line.restore()
    service.serves(second)
    assert service.log.count("registry.unavailable") == 1
    assert service.log.count("registry.available") == 1
    assert "Traceback" not in service.log

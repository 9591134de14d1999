"""Serve artifacts that the first stage has left: a cache of that time, and its version after a rollback."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.serving import cached
from tests.serving.inference.test_version_1 import FILES
from tests.serving.publisher import Publisher, digests, forest
from tests.serving.service import PENGUIN, Service

RECORDED = json.loads(FILES["inference/contract.json"])["example"]


def short_hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:12]


def old_cache(folder: Path) -> None:
    """Write a cache as the service at d82a8fc did, whose versions had no signatures."""
    served = [f"{cached.NO_SERVER}/", "penguins_rf", "production", "Production"]
    entry = f"7-{short_hash(sorted(digests(FILES).items()))}"
    version = {
        "name": "penguins_rf", "version": "7", "creation_timestamp": 1, "source": "models:/m-0", "run_id": "a",
        "model_id": "", "tags": {"digests": json.dumps(digests(FILES)), "reason": "the first version"},
    }  # fmt: skip
    release = json.dumps({"version": version, "digests": digests(FILES)}).encode()
    index = json.dumps({"current": entry, "previous": None}).encode()
    files = {f"{entry}/{name}": content for name, content in {**FILES, "release.json": release}.items()}
    for name, content in {**files, "index.json": index}.items():
        path = folder / f"penguins_rf-{short_hash(served)}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def answers_as_recorded(service: Service, version: str) -> None:
    rows = [dict(zip(PENGUIN, row, strict=True)) for row in RECORDED["inputs"]]
    answer = service.predict(rows).json()
    assert answer["model_version"] == version
    assert answer["prediction"] == RECORDED["labels"]
    assert [list(each.values()) for each in answer["probabilities"]] == [
        pytest.approx(each, abs=1e-6) for each in RECORDED["probabilities"]
    ]


@pytest.mark.programs
def test_an_old_cache_serves_while_mlflow_is_down(tmp_path: Path) -> None:
    old_cache(tmp_path / "cache")
    settings = {"MLFLOW_TRACKING_URI": cached.NO_SERVER, "SERVING_MODEL_NAME": "penguins_rf"}
    with Service(tmp_path, **settings, SERVING_CACHE_DIR=tmp_path / "cache") as service:
        service.polled("unavailable")
        answers_as_recorded(service, "7")
        status = service.status()["model"]
        assert (status["origin"], status["lineage"]["reason"]) == ("cache", "the first version")


def test_a_rollback_to_an_old_version_is_served(publisher: Publisher, start: Callable[..., Service]) -> None:
    old = publisher.publish(forest(), lambda files: files.update(FILES))
    new = publisher.publish(forest())
    publisher.promote(new)
    service = start()
    service.serves(new)
    publisher.promote(old)
    service.serves(old)
    answers_as_recorded(service, old)

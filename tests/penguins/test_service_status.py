"""The prediction service's word about its model, asked from a real one."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.stack import Stack
from local.waiting import until
from penguins import service_status
from penguins.settings import settings
from tests.serving.publisher import Publisher, forest
from tests.serving.service import Service

Ask = Callable[..., list[str]]
UNKNOWN = "What the service serves is unknown: "


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """Ask the service at an address."""

    def ask(url: object, model: str, **variables: str) -> list[str]:
        for name, value in {"API_URL": str(url), **variables}.items():
            monkeypatch.setenv(f"PENGUINS_{name}", value)
        settings.cache_clear()
        return service_status.read(model).describe()

    yield ask
    settings.cache_clear()


def start(stack: Stack, folder: Path, model: str, **variables: Any) -> Service:
    own = {"MLFLOW_TRACKING_URI": stack.urls["mlflow"], "SERVING_MODEL_NAME": model, "SERVING_CACHE_DIR": folder}
    return Service(folder, **own | variables)


def test_it_says_what_the_service_serves_and_refuses(ask: Ask, stack: Stack, tmp_path: Path) -> None:
    publisher = Publisher(stack.urls["mlflow"], "asked_for_its_status")

    def damage(files: dict[str, bytes]) -> None:
        files["inference/model.onnx"] = b"garbage"

    def in_shadow(version: str) -> str:
        """Wait until the service says something about a version in the shadow, and return that."""
        publisher.client.set_registered_model_alias(publisher.model_name, "shadow", version)

        def told() -> str | None:
            return next((line for line in ask(service.http.base_url, publisher.model_name) if "shadow" in line), None)

        return until(told, f"version {version} to be told of")

    sound, damaged = publisher.publish(forest(0)), publisher.publish(forest(1), after=damage)
    with start(stack, tmp_path, publisher.model_name, SERVING_LOG_DIR=tmp_path / "spool") as service:
        assert ask(service.http.base_url, publisher.model_name)[0].startswith("The service serves nothing: ")
        publisher.promote(sound)
        service.serves(sound)
        since = datetime.fromisoformat(service.status()["model"]["loaded_at"]).astimezone(UTC)
        expected = f"The service serves version {sound} with onnxruntime, since {since:%Y-%m-%d %H:%M} UTC."
        assert ask(service.http.base_url, publisher.model_name) == [expected]
        assert in_shadow(damaged).startswith(f"It doesn't let version {damaged} into its shadow (digest_mismatch): ")
        publisher.client.delete_registered_model_alias(publisher.model_name, "shadow")
        until(lambda: ask(service.http.base_url, publisher.model_name) == [expected], "the shadow to end")
        third = publisher.publish(forest(2))
        assert in_shadow(third) == f"Version {third} answers in its shadow."
        publisher.client.delete_registered_model_alias(publisher.model_name, "shadow")
        until(lambda: ask(service.http.base_url, publisher.model_name) == [expected], "the shadow to end")
        publisher.promote(damaged)
        service.refuses(damaged)
        serves, refuses = ask(service.http.base_url, publisher.model_name)
    assert serves == expected
    assert refuses.startswith(f"It refuses version {damaged} (digest_mismatch): ")


def test_it_needs_a_key_where_the_service_requires_one(ask: Ask, stack: Stack, tmp_path: Path) -> None:
    with start(stack, tmp_path, "asked_with_a_key", SERVING_API_KEYS="secret") as service:
        url = service.http.base_url
        assert ask(url, "asked_with_a_key") == [
            f"{UNKNOWN}it wants an API key. Set PENGUINS_API_KEY to one of its keys."
        ]
        assert ask(url, "asked_with_a_key", API_KEY="secret")[0].startswith("The service serves nothing: ")
        absent = "The service serves nothing: it doesn't have the model wine/1%. `make run` of its contract adds it."
        assert ask(url, "wine/1%", API_KEY="secret") == [absent]


def test_a_service_that_does_not_answer_is_named(ask: Ask) -> None:
    assert ask("http://127.0.0.1:9", "wine") == [f"{UNKNOWN}http://127.0.0.1:9 doesn't answer (ConnectionError)."]

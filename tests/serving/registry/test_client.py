"""Client of the registry: missing entries, servers other than MLflow, and unreachable servers."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TypeVar

import pytest

from local.ports import free_ports
from serving.registry.client import Found, Registry
from serving.registry.connection import UnavailableError
from serving.registry.refusals import RefusedError
from serving.registry.responses import ModelVersion, proxied
from serving.settings import Settings
from tests.serving.publisher import Publisher, forest, inference_files

Result = TypeVar("Result")

CONTRACT = "inference/contract.json"


def ask(url: str, question: Callable[[Registry], Awaitable[Result]], **settings: object) -> Result:
    """Call the registry at `url`."""

    async def asking() -> Result:
        registry = Registry(Settings.model_validate({"mlflow_tracking_uri": url, **settings}))
        try:
            return await question(registry)
        finally:
            await registry.close()

    return asyncio.run(asking())


def first(registry: Registry) -> Awaitable[ModelVersion | None]:
    """Ask for the version in Production of one model."""
    return registry.production("penguins_rf")


def production(publisher: Publisher, url: str) -> ModelVersion | None:
    """Return the version in Production."""
    return ask(url, lambda registry: registry.production(publisher.model_name))


def test_missing_model_version_or_alias_means_no_production(mlflow_url: str, publisher: Publisher) -> None:
    assert ask(mlflow_url, lambda registry: registry.production("unknown_model")) is None
    assert production(publisher, mlflow_url) is None
    publisher.publish(forest())
    assert production(publisher, mlflow_url) is None


def test_production_gives_version_signature_and_files(mlflow_url: str, publisher: Publisher) -> None:
    publisher.promote(number := publisher.publish(forest(), tags={"git_commit": "abc"}))
    version = production(publisher, mlflow_url)
    assert version
    assert (version.version, version.tags["git_commit"]) == (number, "abc")
    files = inference_files(forest())
    assert ask(mlflow_url, lambda registry: registry.signature(version)) == version.tags["signature"]
    assert ask(mlflow_url, lambda registry: registry.download(version, files)) == files


def test_the_versions_of_several_models_are_found_at_once(mlflow_url: str, publisher: Publisher) -> None:
    others = [Publisher(mlflow_url, f"{publisher.model_name}_{suffix}") for suffix in ("old", "stage", "none")]
    old, stage, _ = others
    for each in others[:2]:
        each.promote(each.publish(forest(), tags={"git_commit": "abc"}))
        each.publish(forest(1))
    old.publish(forest(2))
    old.client.transition_model_version_stage(old.model_name, "2", "Production")  # the alias names another one
    stage.client.delete_registered_model_alias(stage.model_name, "production")
    stage.client.transition_model_version_stage(stage.model_name, "1", "Production")
    names = ["unknown_model", *(each.model_name for each in others)]
    asked: list[str] = []

    async def ask_all(registry: Registry) -> dict[str, Found]:
        one, get = await registry.production(stage.model_name), registry._connection.get
        registry._connection.get = lambda path, *rest: asked.append(path) or get(path, *rest)  # type: ignore[method-assign, func-returns-value]
        found = await registry.find(names)
        assert found[stage.model_name] == (one, None)
        return found

    found = {name: each.production for name, each in ask(mlflow_url, ask_all).items()}
    assert [found[name] and found[name].version for name in names] == [None, "1", "1", None]  # type: ignore[union-attr]
    assert [path.rpartition("/")[2] for path in asked] == ["search", "alias"]
    assert all(version.tags["git_commit"] == "abc" for version in found.values() if version)
    assert ask(mlflow_url, lambda registry: registry.find(names[:1])) == {"unknown_model": (None, None)}


def test_missing_or_too_large_file_is_refused(mlflow_url: str, publisher: Publisher) -> None:
    publisher.promote(publisher.publish(forest()))
    version = production(publisher, mlflow_url)
    assert version
    with pytest.raises(RefusedError, match="a/b isn't among the version's artifacts") as refused:
        ask(mlflow_url, lambda registry: registry.download(version, ["a/b"]))
    assert refused.value.code == "file_missing"
    with pytest.raises(RefusedError, match=r"inference/contract.json is larger than 100 bytes") as refused:
        ask(mlflow_url, lambda registry: registry.download(version, [CONTRACT]), max_artifact_bytes=100)
    assert refused.value.code == "file_too_large"


def test_logged_model_is_found_by_its_source() -> None:
    def logged_model(source: str, model_id: str = "") -> str | None:
        made = ModelVersion(name="a", version="1", creation_timestamp=0, source=source, model_id=model_id)
        return made.logged_model_id

    assert logged_model("models:/m-0af1") == "m-0af1"
    assert logged_model("mlflow-artifacts:/0/models/m-0af1/artifacts") == "m-0af1"
    assert logged_model("mlflow-artifacts:/0/run/artifacts/model") is None
    assert logged_model("anything", "m-5") == "m-5"


def test_path_behind_the_proxy_is_found() -> None:
    assert proxied("mlflow-artifacts:/0/run/artifacts/model") == "0/run/artifacts/model"
    assert proxied("mlflow-artifacts://host:5000/0/run") == "0/run"
    assert proxied("http://host/api/2.0/mlflow-artifacts/artifacts/0/run") == "0/run"


@pytest.mark.parametrize("uri", ["s3://bucket/0", "/var/mlruns/0", "file:///var/0", "http://host/0"])
def test_artifacts_elsewhere_are_refused(uri: str) -> None:
    with pytest.raises(RefusedError, match="--artifacts-destination") as refused:
        proxied(uri)
    assert refused.value.code == "not_proxied"


def test_an_unreachable_server_is_reported() -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(UnavailableError, match=rf"MLflow at {url} can't be reached \(ConnectError"):
        ask(url, first)


def test_password_is_not_in_the_error() -> None:
    with pytest.raises(UnavailableError) as unavailable:
        ask(f"http://eve:secret@127.0.0.1:{free_ports(1)[0]}", first)
    assert "secret" not in str(unavailable.value)


class OtherServer(BaseHTTPRequestHandler):
    """A server that isn't MLflow."""

    status = 200
    body = b"<html>Welcome</html>"

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def other_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server that gives this answer to every request."""
    status, body = request.param
    handler = type("Handler", (OtherServer,), {"status": status, "body": body})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("other_server", "text"),
    [
        ((200, b"<html>Welcome</html>"), "answered 200 to .*: <html>Welcome</html>"),
        ((200, b"{}"), "answered 200 to .*: {}"),
        ((403, b"Invalid Host header - possible DNS rebinding attack detected"), "answered 403 .*Invalid Host"),
        ((403, b'{"error_code": "PERMISSION_DENIED"}'), "answered 403 .*PERMISSION_DENIED"),
        ((404, b"not found"), "answered 404 .*not found"),
        ((500, b"\xff\n\noops"), "answered 500 .*\ufffd oops"),
    ],
    indirect=["other_server"],
)
def test_unexpected_answers_are_reported(other_server: str, text: str) -> None:
    with pytest.raises(UnavailableError, match=text):
        ask(other_server, first)

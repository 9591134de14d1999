"""Bad days: the service serves on, says what is wrong, and catches up by itself."""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from local.waiting import until
from tests.serving.line import Line
from tests.serving.publisher import Publisher, forest
from tests.serving.service import Service, with_largest_file

Start = Callable[..., Service]
Answer = Callable[[BaseHTTPRequestHandler, httpx.Response], None]

DOWNLOAD = "/mlflow-artifacts/artifacts/"


class Between:
    """A proxy between the service and the real MLflow, which can spoil what MLflow answers."""

    def __init__(self, target: str) -> None:
        self.spoil: Answer | None = None
        between = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = httpx.get(f"{target}{self.path}")
                (between.spoil or whole)(self, answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


def drip(handler: BaseHTTPRequestHandler, _: httpx.Response) -> None:
    """A byte now and then, and never the whole answer."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(10**9))
    handler.end_headers()
    with suppress(OSError):  # until the service has had enough
        while not handler.wfile.closed:
            handler.wfile.write(b" ")
            Event().wait(0.05)


def whole(handler: BaseHTTPRequestHandler, answer: httpx.Response) -> None:
    """What MLflow answered."""
    handler.send_response(answer.status_code)
    handler.send_header("Content-Length", str(len(answer.content)))
    handler.end_headers()
    handler.wfile.write(answer.content)


def error(handler: BaseHTTPRequestHandler, _: httpx.Response) -> None:
    """An error that isn't MLflow's."""
    handler.send_response(500)
    handler.end_headers()
    handler.wfile.write(b"<html><h1>Internal Server Error</h1></html>")


def html(handler: BaseHTTPRequestHandler, _: httpx.Response) -> None:
    """What a gateway says while it is maintained."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.end_headers()
    handler.wfile.write(b"<html><h1>Back soon</h1></html>")


def half(handler: BaseHTTPRequestHandler, answer: httpx.Response) -> None:
    """The first half of MLflow's answer, and then the line is cut."""
    handler.send_response(answer.status_code)
    handler.send_header("Content-Length", str(len(answer.content)))
    handler.end_headers()
    handler.wfile.write(answer.content[: len(answer.content) // 2])


def half_of_files(handler: BaseHTTPRequestHandler, answer: httpx.Response) -> None:
    """The line is cut in the middle of each download."""
    (half if DOWNLOAD in handler.path else whole)(handler, answer)


def half_of_files_unnoticed(handler: BaseHTTPRequestHandler, answer: httpx.Response) -> None:
    """Something on the way cuts the files and says that they are whole."""
    if DOWNLOAD in handler.path:
        answer._content = answer.content[: len(answer.content) // 2]
    whole(handler, answer)


@pytest.fixture
def between(mlflow_url: str) -> Iterator[Between]:
    """A proxy in front of MLflow."""
    between = Between(mlflow_url)
    with between.server:
        thread = Thread(target=between.server.serve_forever)
        thread.start()
        yield between
        between.server.shutdown()
        thread.join()


SPOILT: list[tuple[Answer, str, str]] = [
    (error, "unavailable", "answered 500"),
    (html, "unavailable", "<html><h1>Back soon</h1></html>"),
    (half, "unavailable", "can't be reached (RemoteProtocolError"),
    (half_of_files, "unavailable", "can't be reached (RemoteProtocolError"),
    (half_of_files_unnoticed, "refused", "has sha256"),
]


def test_spoilt_answers(publisher: Publisher, start: Start, between: Between) -> None:
    publisher.promote(version := publisher.publish(forest()))
    service = start(MLFLOW_TRACKING_URI=between.url, SERVING_RETRY_REFUSED_SECONDS=0.2)
    service.serves(version)
    for number, (spoil, outcome, text) in enumerate(SPOILT, 1):
        other = publisher.publish(forest(number))
        between.spoil = spoil
        publisher.promote(other)
        assert text in service.polled(outcome)["detail"]
        assert service.predict().json()["model_version"] == version
        between.spoil = None
        service.serves(version := other)
    assert "Traceback" not in service.log


@pytest.mark.parametrize("spoil", [error, html, half])
def test_spoilt_from_the_start(publisher: Publisher, start: Start, between: Between, spoil: Answer) -> None:
    publisher.promote(version := publisher.publish(forest()))
    between.spoil = spoil
    service = start(MLFLOW_TRACKING_URI=between.url)
    service.polled("unavailable")
    assert service.predict().status_code == 503
    assert service.predict().json()["reason"] == "unavailable"
    between.spoil = None
    service.serves(version)


def test_name_that_is_not_known(publisher: Publisher, start: Start) -> None:
    publisher.promote(publisher.publish(forest()))
    service = start(MLFLOW_TRACKING_URI="http://mlflow.invalid:5000")
    assert "http://mlflow.invalid:5000 can't be reached" in service.polled("unavailable")["detail"]
    assert service.predict().json()["reason"] == "unavailable"


def test_server_that_accepts_and_says_nothing(publisher: Publisher, start: Start, between: Between) -> None:
    publisher.promote(version := publisher.publish(forest()))
    service = start(MLFLOW_TRACKING_URI=between.url, SERVING_READ_TIMEOUT_SECONDS=1)
    service.serves(version)
    over = Event()
    between.spoil = lambda *_: over.wait(60) and None
    assert "ReadTimeout" in service.polled("unavailable")["detail"]
    assert service.predict().is_success
    over.set()
    between.spoil = None
    publisher.promote(other := publisher.publish(forest(1)))
    service.serves(other)


def test_server_that_answers_without_end(publisher: Publisher, start: Start, between: Between) -> None:
    publisher.promote(version := publisher.publish(forest()))
    service = start(MLFLOW_TRACKING_URI=between.url, SERVING_READ_TIMEOUT_SECONDS=1)
    service.serves(version)
    between.spoil = drip
    assert "hasn't finished its answer in 12 s" in service.polled("unavailable")["detail"]
    between.spoil = None
    publisher.promote(other := publisher.publish(forest(1)))
    service.serves(other)


def test_disk_full_for_the_cache(publisher: Publisher, start: Start, tmp_path: Path) -> None:
    publisher.promote(version := publisher.publish(forest(n_estimators=200)))
    # No file may be larger than the log and the contract are, but the model is.
    service = start(*with_largest_file(40_000))
    service.serves(version)
    assert "could not be kept on disk: [Errno 27] File too large" in service.status()["cache_error"]
    assert not list(tmp_path.glob("cache/*/*/inference"))


def test_cache_that_is_read_only(publisher: Publisher, start: Start, tmp_path: Path) -> None:
    publisher.promote(version := publisher.publish(forest()))
    with start() as service:
        service.serves(version)
    (folder,) = (tmp_path / "cache").iterdir()
    folder.chmod(0o500)
    # Permissions don't stop root, unless it gives up that power.
    plain = [] if os.getuid() else ["setpriv", "--bounding-set=-dac_override"]
    service = start(*plain, sys.executable, "-m", "serving")
    service.serves(version)
    assert service.status()["model"]["origin"] == "cache"
    publisher.promote(other := publisher.publish(forest(1)))
    service.serves(other)
    assert "Permission denied" in service.status()["cache_error"]
    assert service.http.get("/metrics").text.count("penguins_cache_ok 0.0") == 1
    folder.chmod(0o700)
    until(lambda: service.status()["cache_error"] is None, "the version to be kept, now that it can be")
    assert list(folder.glob(f"{other}-*"))


def test_cache_that_disappears_while_it_serves(publisher: Publisher, start: Start, tmp_path: Path) -> None:
    publisher.promote(version := publisher.publish(forest()))
    service = start()
    service.serves(version)
    shutil.rmtree(tmp_path / "cache")
    assert service.predict().is_success
    publisher.promote(other := publisher.publish(forest(1)))
    service.serves(other)
    assert service.status()["cache_error"] is None


def test_frozen_process_catches_up(publisher: Publisher, start: Start) -> None:
    """A laptop that sleeps: to the process, the clock jumps."""
    publisher.promote(version := publisher.publish(forest()))
    service = start()
    service.serves(version)
    os.kill(service.process.pid, signal.SIGSTOP)
    publisher.promote(other := publisher.publish(forest(1)))
    os.kill(service.process.pid, signal.SIGCONT)
    service.serves(other)


def test_killed_service_starts_from_what_it_had(publisher: Publisher, start: Start, line: Line) -> None:
    publisher.promote(version := publisher.publish(forest()))
    service = start()
    service.serves(version)
    for _ in range(3):
        service.process.kill()
        service.process.wait()
        line.cut()
        service = start()
        assert service.predict().json()["model_version"] == version
        line.mend()


def test_old_versions_are_pruned(publisher: Publisher, start: Start, tmp_path: Path) -> None:
    service = start()
    for seed in range(4):
        publisher.promote(version := publisher.publish(forest(seed)))
        service.serves(version)
    kept = {path.name.partition("-")[0] for path in tmp_path.glob("cache/*/*") if path.is_dir()}
    assert kept == {"3", "4"}

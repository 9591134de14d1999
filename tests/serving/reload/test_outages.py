"""Outages: the service keeps its version, reports the problem, and recovers by itself."""

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


class FaultyProxy:
    """A proxy between the service and the real MLflow that can change MLflow's answers."""

    def __init__(self, target: str) -> None:
        self.fault: Answer | None = None
        proxy, mlflow = self, httpx.Client(base_url=target)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = mlflow.get(self.path)
                (proxy.fault or forward)(self, answer)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


def drip(handler: BaseHTTPRequestHandler, _: httpx.Response) -> None:
    """Send a byte at a time, without an end."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(10**9))
    handler.end_headers()
    with suppress(OSError):  # until the service closes the connection
        while not handler.wfile.closed:
            handler.wfile.write(b" ")
            Event().wait(0.05)


def forward(handler: BaseHTTPRequestHandler, answer: httpx.Response) -> None:
    """Send MLflow's answer."""
    handler.send_response(answer.status_code)
    handler.send_header("Content-Length", str(len(answer.content)))
    handler.end_headers()
    handler.wfile.write(answer.content)


def error(handler: BaseHTTPRequestHandler, _: httpx.Response) -> None:
    """Send an error of another server."""
    handler.send_response(500)
    handler.end_headers()
    handler.wfile.write(b"<html><h1>Internal Server Error</h1></html>")


def html(handler: BaseHTTPRequestHandler, _: httpx.Response) -> None:
    """Send the page of a gateway under maintenance."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.end_headers()
    handler.wfile.write(b"<html><h1>Back soon</h1></html>")


def half(handler: BaseHTTPRequestHandler, answer: httpx.Response) -> None:
    """Send the first half of MLflow's answer, then close the connection."""
    handler.send_response(answer.status_code)
    handler.send_header("Content-Length", str(len(answer.content)))
    handler.end_headers()
    handler.wfile.write(answer.content[: len(answer.content) // 2])


def half_of_files(handler: BaseHTTPRequestHandler, answer: httpx.Response) -> None:
    """Close the connection in the middle of each download."""
    (half if DOWNLOAD in handler.path else forward)(handler, answer)


def truncated_files(handler: BaseHTTPRequestHandler, answer: httpx.Response) -> None:
    """Send the first half of each file as if it were the whole file."""
    if DOWNLOAD in handler.path:
        answer._content = answer.content[: len(answer.content) // 2]
    forward(handler, answer)


@pytest.fixture
def proxy(mlflow_url: str) -> Iterator[FaultyProxy]:
    """A proxy in front of MLflow."""
    proxy = FaultyProxy(mlflow_url)
    with proxy.server:
        thread = Thread(target=proxy.server.serve_forever)
        thread.start()
        yield proxy
        proxy.server.shutdown()
        thread.join()


FAULTS: list[tuple[Answer, str, str]] = [
    (error, "unavailable", "answered 500"),
    (html, "unavailable", "<html><h1>Back soon</h1></html>"),
    (half, "unavailable", "can't be reached (RemoteProtocolError"),
    (half_of_files, "unavailable", "can't be reached (RemoteProtocolError"),
    (truncated_files, "refused", "has sha256"),
]


def test_invalid_answers_of_mlflow_keep_the_version(publisher: Publisher, start: Start, proxy: FaultyProxy) -> None:
    publisher.promote(version := publisher.publish(forest()))
    service = start(MLFLOW_TRACKING_URI=proxy.url, SERVING_RETRY_REFUSED_SECONDS=0.2)
    service.serves(version)
    for number, (fault, outcome, text) in enumerate(FAULTS, 1):
        other = publisher.publish(forest(number))
        proxy.fault = fault
        publisher.promote(other)
        assert text in service.polled(outcome)["detail"]
        assert service.predict().json()["model_version"] == version
        proxy.fault = None
        service.serves(version := other)
    assert "Traceback" not in service.log


@pytest.mark.parametrize("fault", [error, html, half])
def test_invalid_answers_at_the_start_are_reported(
    publisher: Publisher, start: Start, proxy: FaultyProxy, fault: Answer
) -> None:
    publisher.promote(version := publisher.publish(forest()))
    proxy.fault = fault
    service = start(MLFLOW_TRACKING_URI=proxy.url)
    service.polled("unavailable")
    assert service.predict().status_code == 503
    assert service.predict().json()["reason"] == "unavailable"
    proxy.fault = None
    service.serves(version)


def test_unknown_host_name_is_reported(publisher: Publisher, start: Start) -> None:
    publisher.promote(publisher.publish(forest()))
    service = start(MLFLOW_TRACKING_URI="http://mlflow.invalid:5000")
    assert "http://mlflow.invalid:5000 can't be reached" in service.polled("unavailable")["detail"]
    assert service.predict().json()["reason"] == "unavailable"


def test_server_without_an_answer_is_reported(publisher: Publisher, start: Start, proxy: FaultyProxy) -> None:
    publisher.promote(version := publisher.publish(forest()))
    service = start(MLFLOW_TRACKING_URI=proxy.url, SERVING_READ_TIMEOUT_SECONDS=1)
    service.serves(version)
    over = Event()
    proxy.fault = lambda *_: over.wait(60) and None
    assert "ReadTimeout" in service.polled("unavailable")["detail"]
    assert service.predict().is_success
    over.set()
    proxy.fault = None
    publisher.promote(other := publisher.publish(forest(1)))
    service.serves(other)


def test_endless_answer_is_reported(publisher: Publisher, start: Start, proxy: FaultyProxy) -> None:
    publisher.promote(version := publisher.publish(forest()))
    service = start(MLFLOW_TRACKING_URI=proxy.url, SERVING_READ_TIMEOUT_SECONDS=1)
    service.serves(version)
    proxy.fault = drip
    assert "hasn't finished its answer in 12 s" in service.polled("unavailable")["detail"]
    proxy.fault = None
    publisher.promote(other := publisher.publish(forest(1)))
    service.serves(other)


def test_full_disk_does_not_stop_the_service(publisher: Publisher, start: Start, tmp_path: Path) -> None:
    publisher.promote(version := publisher.publish(forest(n_estimators=200)))
    # The limit allows the log and the contract, but not the model.
    service = start(*with_largest_file(40_000))
    service.serves(version)
    assert "could not be kept on disk: [Errno 27] File too large" in service.status()["cache_error"]
    assert not list(tmp_path.glob("cache/*/*/inference"))


def test_read_only_cache_does_not_stop_the_service(publisher: Publisher, start: Start, tmp_path: Path) -> None:
    publisher.promote(version := publisher.publish(forest()))
    with start() as service:
        service.serves(version)
    (folder,) = (tmp_path / "cache").iterdir()
    folder.chmod(0o500)
    # Root ignores permissions unless it drops this capability.
    plain = [] if os.getuid() else ["setpriv", "--bounding-set=-dac_override"]
    service = start(*plain, sys.executable, "-m", "serving")
    service.serves(version)
    assert service.status()["model"]["origin"] == "cache"
    publisher.promote(other := publisher.publish(forest(1)))
    service.serves(other)
    assert "Permission denied" in service.status()["cache_error"]
    assert service.http.get("/metrics").text.count("penguins_cache_ok 0.0") == 1
    folder.chmod(0o700)
    until(lambda: service.status()["cache_error"] is None, "the version to be kept on disk")
    assert list(folder.glob(f"{other}-*"))


def test_deleted_cache_is_created_again(publisher: Publisher, start: Start, tmp_path: Path) -> None:
    publisher.promote(version := publisher.publish(forest()))
    service = start()
    service.serves(version)
    shutil.rmtree(tmp_path / "cache")
    assert service.predict().is_success
    publisher.promote(other := publisher.publish(forest(1)))
    service.serves(other)
    assert service.status()["cache_error"] is None


def test_stopped_process_catches_up(publisher: Publisher, start: Start) -> None:
    """Stop and continue the process, as on a laptop that sleeps."""
    publisher.promote(version := publisher.publish(forest()))
    service = start()
    service.serves(version)
    os.kill(service.process.pid, signal.SIGSTOP)
    publisher.promote(other := publisher.publish(forest(1)))
    os.kill(service.process.pid, signal.SIGCONT)
    service.serves(other)


def test_killed_service_starts_from_the_cache(publisher: Publisher, start: Start, line: Line) -> None:
    publisher.promote(version := publisher.publish(forest()))
    service = start()
    service.serves(version)
    for _ in range(3):
        service.process.kill()
        service.process.wait()
        line.cut()
        service = start()
        assert service.predict().json()["model_version"] == version
        line.restore()


def test_old_versions_are_pruned(publisher: Publisher, start: Start, tmp_path: Path) -> None:
    service = start()
    for seed in range(4):
        publisher.promote(version := publisher.publish(forest(seed)))
        service.serves(version)
    kept = {path.name.partition("-")[0] for path in tmp_path.glob("cache/*/*") if path.is_dir()}
    assert kept == {"3", "4"}

"""Start, help and end of `python -m serving`."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.settings import Settings, variable
from tests.keys import PRIVATE
from tests.serving.publisher import Publisher, forest
from tests.serving.service import PENGUIN, PROGRAM, Service

Start = Callable[..., Service]

MEGABYTE = 1024 * 1024


def test_help_explains_every_setting() -> None:
    done = subprocess.run([*PROGRAM, "--help"], capture_output=True, text=True, check=True)
    assert all(f"  {variable(name)}=" in done.stdout for name in Settings.model_fields)


def test_wrong_setting_is_reported() -> None:
    environment = {**os.environ, "SERVING_PORT": "eighty"}
    done = subprocess.run(PROGRAM, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert "port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_key_that_cannot_be_used_is_reported_without_it() -> None:
    environment = {**os.environ, "SERVING_TRUSTED_KEYS": PRIVATE}
    done = subprocess.run(PROGRAM, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert "SERVING_TRUSTED_KEYS: a public key is ed25519-public- and 64 hexadecimal digits" in done.stderr
    assert PRIVATE not in done.stderr


def test_port_in_use_is_reported(start: Start) -> None:
    port = str(start(*PROGRAM).http.base_url.port)
    environment = {**os.environ, "SERVING_PORT": port}
    done = subprocess.run(PROGRAM, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode != 0
    assert "address already in use" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_the_service_promptly(start: Start, number: int) -> None:
    service = start(*PROGRAM)
    service.process.send_signal(number)
    assert service.process.wait(timeout=5) == 0
    assert "Traceback" not in service.log


def test_open_requests_are_finished_before_the_end(publisher: Publisher, start: Start) -> None:
    version = publisher.publish(forest())
    publisher.promote(version)
    service = start(*PROGRAM)
    service.serves(version)
    body = str(PENGUIN).replace("'", '"').encode()
    headers = f"host: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", service.http.base_url.port or 0)) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\n" + headers.encode() + b"expect: 100-continue\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 100")  # the request is under way
        client.sendall(body[:5])
        while "Shutting down" not in service.log:
            service.process.send_signal(signal.SIGTERM)
        client.sendall(body[5:])
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
    assert service.process.wait(timeout=10) == 0


def test_service_is_small_and_needs_neither_mlflow_nor_sklearn(publisher: Publisher, start: Start) -> None:
    version = publisher.publish(forest())
    publisher.promote(version)
    service = start(*PROGRAM)
    service.serves(version)
    process = Path("/proc", str(service.process.pid))
    parts = [line for line in (process / "status").read_text().splitlines() if line.startswith("Rss")]
    pages = int((process / "statm").read_text().split()[1])
    assert pages * os.sysconf("SC_PAGE_SIZE") < 115 * MEGABYTE, parts
    loaded = (process / "maps").read_text()
    assert "onnxruntime" in loaded
    assert "sklearn" not in loaded
    assert "pandas" not in loaded

"""A program of another user on PostgreSQL's port gets no password by asking for it in clear."""

import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from local import environment, postgres
from local.config import Config
from local.health import CHECKS
from local.settings import REPO, Settings

CLEARTEXT_PASSWORD = b"R" + struct.pack("!ii", 8, 3)
ENCRYPTION = {struct.pack("!hh", 1234, 5679), struct.pack("!hh", 1234, 5680)}  # requests for TLS and for GSSAPI
# Airflow's API server connects with another driver as well.
AIRFLOW = """
import asyncio
from airflow import settings

async def connect():
    async with settings.async_engine.connect():
        pass

for attempt in (lambda: settings.engine.connect(), lambda: asyncio.run(connect())):
    try:
        attempt()
    except Exception as error:
        print(error)
"""


class Impostor:
    """Listens on a port, asks every client for its password, and keeps the answers."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.clients = 0
        self.heard: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._socket.accept()
                with client, suppress(OSError):
                    self._ask(client)

    def _ask(self, client: socket.socket) -> None:
        client.settimeout(10)
        while client.recv(1000)[4:8] in ENCRYPTION:
            client.sendall(b"N")
        self.clients += 1
        client.sendall(CLEARTEXT_PASSWORD)
        if answer := client.recv(1000):
            self.heard.append(answer)


@pytest.fixture
def impostor() -> Iterator[Impostor]:
    """A listener in place of PostgreSQL."""
    listener = Impostor()
    yield listener
    listener.close()


@pytest.fixture
def config(impostor: Impostor, tmp_path: Path) -> Config:
    """A stack whose PostgreSQL would be on the impostor's port."""
    config = Config.of(Settings.on_free_ports(tmp_path / "state"))
    return replace(config, settings=config.settings.model_copy(update={"postgres_port": impostor.port}))


@pytest.mark.parametrize("program", ["postgres", "init-db"])
def test_a_start_tells_it_no_password(impostor: Impostor, config: Config, program: str) -> None:
    assert "scram-sha-256" in str(CHECKS[program](config, 0))
    assert (impostor.clients, impostor.heard) == (1, [])


def test_the_scripts_of_the_databases_tell_it_no_password(impostor: Impostor, config: Config) -> None:
    variables = environment.inherited(config) | environment.init_db(config, str(postgres.BIN))
    done = subprocess.run([REPO / "init-db" / "apply.sh"], env=variables, capture_output=True, text=True)
    assert "scram-sha-256" in done.stderr
    assert (impostor.clients, impostor.heard) == (1, [])


@pytest.mark.programs
def test_airflow_tells_it_no_password(impostor: Impostor, config: Config) -> None:
    variables = environment.inherited(config) | environment.airflow(config)
    done = subprocess.run([sys.executable, "-c", AIRFLOW], env=variables, capture_output=True, text=True)
    assert done.stdout.count("scram-sha-256") >= 2, done.stdout + done.stderr
    assert (impostor.clients, impostor.heard) == (2, [])

"""The health checks of the containers: the scripts of the compose file, run here."""

import re
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from local.ports import free_ports
from ops.env import REPO

COMPOSE: dict[str, Any] = yaml.safe_load((REPO / "docker-compose.yaml").read_text())
CHECK, GET = (COMPOSE[name].replace("$$", "$") for name in ("x-check", "x-get"))
FLAKY = 'echo look >> "$0"; [ "$(wc -l < "$0")" -ge "$1" ]'
"""Command that succeeds at a look of this number."""


def checked(folder: Path, succeeds_at: int) -> tuple[int, list[str]]:
    """Run a check whose pauses end at once, and return its exit status, and its looks and pauses so far."""
    note = folder / "note"
    sleep = folder / "sleep"
    sleep.write_text(f'#!/bin/sh\necho "pause of $1" >> {note}\n')
    sleep.chmod(0o755)
    script = re.sub(r"\S+/healthy", f"{folder}/healthy", CHECK)
    command = ("sh", "-c", script, "sh", "sh", "-c", FLAKY, str(note), str(succeeds_at))
    done = subprocess.run(command, env={"PATH": f"{folder}:/usr/bin:/bin"})
    return done.returncode, note.read_text().splitlines()


def test_a_container_is_healthy_once_its_check_succeeds_and_later_checks_pause_first(tmp_path: Path) -> None:
    begun = ["look", "pause of 1", "look"]
    assert checked(tmp_path, succeeds_at=3) == (0, begun)
    assert checked(tmp_path, succeeds_at=5) == (0, [*begun, "pause of 25", "look"])
    assert checked(tmp_path, succeeds_at=99) == (1, [*begun, *["pause of 25", "look"] * 2])


def test_a_check_that_never_succeeds_ends(tmp_path: Path) -> None:
    status, noted = checked(tmp_path, succeeds_at=99)
    assert (status, noted.count("look"), noted.count("pause of 1")) == (1, 20, 19)
    assert not (tmp_path / "healthy").exists()


def test_every_server_has_a_check() -> None:
    servers = {name: each for name, each in COMPOSE["services"].items() if each.get("restart") == "unless-stopped"}
    del servers["backup-schedule"]  # listens to nobody
    for name, each in servers.items():
        assert each["healthcheck"]["test"][:5] == ["CMD", "sh", "-c", COMPOSE["x-check"], "sh"], name
        assert {key: value for key, value in each["healthcheck"].items() if key != "test"} == COMPOSE["x-healthcheck"]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        host = f"127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
        self.send_response(200 if (self.path, self.headers["Host"]) == ("/a?b=200", host) else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server that answers 200 to one path only."""
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server.server_port
        server.shutdown()


def test_a_server_is_asked_for_a_page(port: int) -> None:
    def status(path: str) -> int:
        return subprocess.run(["bash", "-c", GET, str(port), path], capture_output=True).returncode

    assert (status("/a?b=200"), status("/other?b=200")) == (0, 1)


def test_a_server_that_is_away_is_not_healthy() -> None:
    (port,) = free_ports(1)
    assert subprocess.run(["bash", "-c", GET, str(port), "/"], capture_output=True).returncode != 0

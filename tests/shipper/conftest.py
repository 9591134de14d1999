"""Fixtures for the shipper: a real PostgreSQL of its own, with an empty log for each test."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from contract.segments import DAMAGED, READY
from local.settings import REPO
from local.stack import Stack
from shipper.loop import run
from shipper.settings import Settings
from tests import stacks
from tests.forked import Forked

TABLES = "log.predictions, log.segments, log.contracts, log.traffic, log.feedback, log.events"


@pytest.fixture(scope="session")
def log_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """PostgreSQL only. A test that stops it starts it again."""
    with stacks.copy(tmp_path_factory.mktemp("log")).running("init-db") as running:
        yield running


@contextmanager
def superuser(stack: Stack) -> Iterator[psycopg.Connection]:
    """Open a superuser's session in the database `penguins`."""
    server = {"host": "127.0.0.1", "port": stack.config.settings.postgres_port, "user": "postgres"}
    password = stack.config.credentials.postgres_password
    with psycopg.connect(**server, password=password, dbname="penguins", autocommit=True) as connection:
        yield connection


@pytest.fixture
def connection(log_stack: Stack) -> Iterator[psycopg.Connection]:
    """A superuser's session, on an empty log."""
    with superuser(log_stack) as opened:
        opened.execute(f"TRUNCATE {TABLES}")
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder of the log."""
    path = tmp_path / "spool"
    path.mkdir()
    return path


@pytest.fixture
def settings(log_stack: Stack, folder: Path) -> Settings:
    """Settings for the folder, without long pauses."""
    address = log_stack.config.database_url("shipper")
    return Settings(log_dir=folder, database_url=address, poll_seconds=0.05, max_backoff_seconds=0.2)


@pytest.fixture
def shipping(settings: Settings) -> Callable[[], object]:
    """A context in which a shipper works, in a thread."""

    @contextmanager
    def work() -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=run, args=[settings, stop])
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(30)
        assert not thread.is_alive()

    return work


def start(settings: Settings, command: tuple[str, ...] = ()) -> "subprocess.Popen[bytes] | Forked":
    """Start the program; by a command, such as `env`, instead of a fork of one that has imported it."""
    variables = {
        "SHIPPER_LOG_DIR": str(settings.log_dir),
        "SHIPPER_DATABASE_URL": settings.database_url.get_secret_value(),
        "SHIPPER_POLL_SECONDS": str(settings.poll_seconds),
        "SHIPPER_MAX_BACKOFF_SECONDS": str(settings.max_backoff_seconds),
    }
    log_file = settings.log_dir.parent / "shipper.log"
    if not command:
        return Forked("shipper", os.environ | variables, log_file)
    with log_file.open("ab") as log:
        arguments = [*command, sys.executable, "-m", "shipper"]
        return subprocess.Popen(arguments, cwd=REPO, env=os.environ | variables, stdout=log, stderr=log)


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def waiting(folder: Path) -> list[str]:
    """Return the names of the segments that are ready."""
    return [path.name for path in (folder / READY).iterdir() if not path.name.startswith(".")]


def set_aside(folder: Path) -> dict[str, str]:
    """Return the reasons of the segments that were set aside, by their names."""
    reasons = (folder / DAMAGED).glob("*.reason")
    return {path.stem: path.read_text() for path in reasons if path.with_suffix("").exists()}

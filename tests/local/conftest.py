"""A whole stack of these tests' own: they stop and kill its programs."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

import psutil
import pytest

from local.settings import REPO, Settings
from local.stack import Stack

Answer = TypeVar("Answer")


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Every program. A test that stops or kills one leaves it ready again."""
    with Stack(Settings.on_free_ports(tmp_path_factory.mktemp("whole"))).running() as running:
        yield running


def of_each(processes: Iterable[psutil.Process], ask: Callable[[psutil.Process], Answer]) -> list[Answer]:
    """What is found out about each process but those that have ended meanwhile, as short-lived children do."""
    answers = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            answers.append(ask(process))
    return answers


def command(settings: Settings, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`python -m local …` as a user would run it, for the stack with these settings."""
    ports = {name: str(port) for name, port in settings.ports.items()}
    environment = os.environ | ports | {"PENGUINS_STATE_DIR": str(settings.state_dir), "COLUMNS": "200"} | variables
    arguments = (sys.executable, "-m", "local", *arguments)
    return subprocess.run(arguments, env=environment, cwd=REPO, capture_output=True, text=True, timeout=300)

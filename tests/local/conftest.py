"""A whole stack of these tests' own: they stop and kill its programs."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from local.settings import REPO, Settings
from local.stack import Stack


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Every program. A test that stops or kills one leaves it ready again."""
    with Stack(Settings.on_free_ports(tmp_path_factory.mktemp("whole"))).running() as running:
        yield running


def command(settings: Settings, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`python -m local …` as a user would run it, for the stack with these settings."""
    ports = {name: str(port) for name, port in settings.ports.items()}
    environment = os.environ | ports | {"PENGUINS_STATE_DIR": str(settings.state_dir), "COLUMNS": "200"} | variables
    arguments = (sys.executable, "-m", "local", *arguments)
    return subprocess.run(arguments, env=environment, cwd=REPO, capture_output=True, text=True, timeout=300)

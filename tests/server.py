"""Run a server outside the stack."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from local.settings import REPO
from local.waiting import until


@contextmanager
def running(module: str, *arguments: str, variables: dict[str, str], log: Path, health: str) -> Iterator[None]:
    """Run `python -m module …` during the block, once the address `health` answers with success."""
    command = (sys.executable, "-m", module, *arguments)
    with log.open("w") as file:
        server = subprocess.Popen(command, env=variables, cwd=REPO, stdout=file, stderr=file, start_new_session=True)
    try:
        with httpx.Client() as client:
            until(lambda: _answers(client, health), f"{module} to answer; see {log}")
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).is_success
    except httpx.TransportError:
        return False

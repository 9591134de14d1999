"""Commands of the embedded stack, as make runs them."""

import os
import subprocess
import sys

from local.errors import StackError
from local.settings import REPO, Settings


def command(settings: Settings, *arguments: str) -> str:
    """Run `python -m local …` on the stack with these settings, and return its output. Raises StackError."""
    with start(settings, *arguments) as process:
        output, _ = process.communicate()
    if process.returncode != 0:
        raise StackError(f"{' '.join(arguments)}:\n{output}")
    return output


def start(settings: Settings, *arguments: str) -> "subprocess.Popen[str]":
    """Start `python -m local …`, whose output is a pipe."""
    ports = {name: str(port) for name, port in settings.ports.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "local", *arguments],
        env=os.environ | ports | {"PENGUINS_STATE_DIR": str(settings.state_dir)},
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

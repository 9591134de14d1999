"""Run commands of the embedded stack."""

import os
import subprocess
import sys

from click.testing import Result
from typer.testing import CliRunner

from local.settings import REPO, Settings


def command(settings: Settings, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m local …` for the stack with these settings."""
    ports = {name: str(port) for name, port in settings.ports.items()}
    environment = os.environ | ports | {"PENGUINS_STATE_DIR": str(settings.state_dir), "COLUMNS": "200"} | variables
    arguments = (sys.executable, "-m", "local", *arguments)
    return subprocess.run(arguments, env=environment, cwd=REPO, capture_output=True, text=True, timeout=300)


def call(settings: Settings, *arguments: str, answer: str = "") -> Result:
    """Call the same in this process: a start of Python would take most of the time of a short command."""
    from local.cli import app  # tests of other things don't wait for it

    variables = {name: str(port) for name, port in settings.ports.items()}
    variables["PENGUINS_STATE_DIR"] = str(settings.state_dir)
    return CliRunner().invoke(app, arguments, input=answer, env=variables)

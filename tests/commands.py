"""Run commands of the embedded stack."""

import os
import subprocess
import sys

from local.settings import REPO, Settings


def command(settings: Settings, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m local …` for the stack with these settings."""
    ports = {name: str(port) for name, port in settings.ports.items()}
    environment = os.environ | ports | {"PENGUINS_STATE_DIR": str(settings.state_dir), "COLUMNS": "200"} | variables
    arguments = (sys.executable, "-m", "local", *arguments)
    return subprocess.run(arguments, env=environment, cwd=REPO, capture_output=True, text=True, timeout=300)

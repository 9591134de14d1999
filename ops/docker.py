"""Docker's and Compose's command lines."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from ops.env import REPO

_PATIENCE = 60  # seconds
_CONTROL = re.compile(r"\x1b\[[\d;]*[A-Za-z]")  # colours and the like


class DockerError(Exception):
    """A command failed; the message is the last line it wrote."""


def docker(*arguments: str) -> str:
    """Run docker and return what it wrote. Raises DockerError."""
    try:
        result = subprocess.run(("docker", *arguments), cwd=REPO, capture_output=True, text=True, timeout=_PATIENCE)
    except FileNotFoundError as error:
        raise DockerError("there is no command docker") from error
    except subprocess.TimeoutExpired as error:
        raise DockerError(f"docker didn't answer in {_PATIENCE} s") from error
    if result.returncode != 0:
        said = (result.stderr.strip() or result.stdout.strip() or f"exit status {result.returncode}").splitlines()
        raise DockerError(said[-1])
    return result.stdout.strip()


class Compose:
    """The stack of one .env file. Every method may raise DockerError."""

    def __init__(self, env_file: Path) -> None:
        self._options = ("compose", "--env-file", str(env_file.resolve()))

    def run(self, *arguments: str) -> str:
        """Run a command of Compose and return what it wrote."""
        return docker(*self._options, *arguments)

    def containers(self) -> list[dict[str, Any]]:
        """Every container of the stack, also those that have ended, as `ps` describes it."""
        return [json.loads(line) for line in self.run("ps", "--all", "--format", "json").splitlines()]

    def config(self) -> dict[str, Any]:
        """The compose file with every variable and profile filled in."""
        return dict(json.loads(self.run("--profile", "*", "config", "--format", "json")))

    def last_line(self, service: str) -> str:
        """The last line that is not empty in the service's log."""
        log = _CONTROL.sub("", self.run("logs", "--no-log-prefix", "--no-color", "--tail", "20", service))
        return next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "it has no log")

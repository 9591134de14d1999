"""Run the command lines of Docker and Compose."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from ops.env import REPO

_TIMEOUT = 60  # seconds
_ESCAPES = re.compile(r"\x1b\[[\d;]*[A-Za-z]")  # terminal escape sequences, such as colours


class DockerError(Exception):
    """A command failed; the message is the last line of its output."""


def docker(*arguments: str) -> str:
    """Run docker and return its output. Raises DockerError."""
    try:
        result = subprocess.run(("docker", *arguments), cwd=REPO, capture_output=True, text=True, timeout=_TIMEOUT)
    except FileNotFoundError as error:
        raise DockerError("there is no command docker") from error
    except subprocess.TimeoutExpired as error:
        raise DockerError(f"docker didn't answer in {_TIMEOUT} s") from error
    if result.returncode != 0:
        lines = (result.stderr.strip() or result.stdout.strip() or f"exit status {result.returncode}").splitlines()
        raise DockerError(lines[-1])
    return result.stdout.strip()


class Compose:
    """The stack of one .env file. Every method may raise DockerError."""

    def __init__(self, env_file: Path) -> None:
        self._options = ("compose", "--env-file", str(env_file.resolve()))

    def run(self, *arguments: str) -> str:
        """Run a command of Compose and return its output."""
        return docker(*self._options, *arguments)

    def attach(
        self,
        *arguments: str,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Run a command that may take long, with files as its input and output; its messages are shown."""
        process = subprocess.Popen(
            ("docker", *self._options, *arguments),
            cwd=REPO,
            env=os.environ | dict(variables),
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout or subprocess.DEVNULL,
        )
        try:
            status = process.wait()
        except BaseException:
            process.terminate()  # it passes the signal on to its container
            process.wait()
            raise
        if status != 0:
            raise DockerError(f"docker compose {' '.join(arguments[:4])} … ended with {status}; the reason is above")

    def containers(self) -> list[dict[str, Any]]:
        """Return every container of the stack, also ended ones, as `ps` describes it."""
        return [json.loads(line) for line in self.run("ps", "--all", "--format", "json").splitlines()]

    def config(self) -> dict[str, Any]:
        """Return the compose file with all variables replaced and all profiles active."""
        return dict(json.loads(self.run("--profile", "*", "config", "--format", "json")))

    def last_line(self, service: str) -> str:
        """Return the last line of the service's log that isn't empty."""
        log = _ESCAPES.sub("", self.run("logs", "--no-log-prefix", "--no-color", "--tail", "20", service))
        return next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "it has no log")

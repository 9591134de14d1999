"""Disaster drill: a backup under load, kill -9 of everything, the state deleted, a restore, and predictions again.

    python -m benchmarks.drill_disaster

Works on a stack of its own, with three versions of which two were in Production. Prints what happened at which second.
Exits with 1 if an object's digest, a row of the audit trail, a version, an alias, an answer or a logged prediction from
before the backup is another one afterwards, or is missing.
"""

import argparse
import hashlib
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, NoReturn

import httpx
import psutil
import psycopg
from rich.console import Console

from backup.objects import Objects
from benchmarks.commands import command
from benchmarks.log_audit import audit
from benchmarks.serve_load import Clients
from benchmarks.serve_stack import PENGUIN, promote, trained_stack
from local.backups import source_of
from local.clients.http import JsonApi
from local.orphans import orphans, survivors
from local.settings import Settings
from local.stack import Stack
from local.waiting import until

LOAD_SECONDS: Final = 5.0
MAY_BE_LOST_SECONDS: Final = 2.0  # answers of the last second before a backup may be in the service's memory
AUDIT: Final = ("promotions", "candidates", "verdicts", "settled")

console = Console(highlight=False, width=160, markup=False)


@dataclass(frozen=True)
class Kept:
    """State that a restore must bring back as it was."""

    versions: Any
    aliases: Any
    audit: dict[str, list[str]]
    digests: dict[str, str]
    answer: dict[str, Any]

    @classmethod
    def of(cls, stack: Stack) -> "Kept":
        """Read it from a stack that is up."""
        registry = JsonApi(stack.urls["mlflow"])
        models = registry.get("/api/2.0/mlflow/registered-models/search")["registered_models"]
        with psycopg.connect(stack.config.database_url("penguins")) as connection:
            rows = {
                name: [row for (row,) in connection.execute(f"SELECT t::text FROM audit.{name} t ORDER BY 1")]  # noqa: S608
                for name in AUDIT
            }
        return cls(
            registry.get("/api/2.0/mlflow/model-versions/search", max_results=1000),
            [(model["name"], model.get("aliases")) for model in models],
            rows,
            digests(stack),
            answer(stack),
        )

    def differences(self, other: "Kept") -> list[str]:
        """Return the names of what isn't equal."""
        return [each.name for each in fields(self) if getattr(self, each.name) != getattr(other, each.name)]


def digests(stack: Stack) -> dict[str, str]:
    """Return the sha256 of each object in S3."""
    objects = Objects(source_of(stack.config).bucket)
    with tempfile.TemporaryDirectory() as folder:
        fetched = objects.fetch(objects.keys(), Path(folder))
        return {key: hashlib.sha256(file.read()).hexdigest() for key, _, file in fetched}


def answer(stack: Stack) -> dict[str, Any]:
    """Return what the service says of a penguin, but for what differs in each answer."""
    found: dict[str, Any] = httpx.post(f"{stack.urls['api']}/predict", json=PENGUIN).raise_for_status().json()
    return {name: value for name, value in found.items() if name != "prediction_id"}


def answers(stack: Stack) -> bool:
    """Return whether the service answers."""
    try:
        return bool(answer(stack))
    except httpx.HTTPError:
        return False


def kill_everything(stack: Stack) -> int:
    """Kill all processes of a stack at once, and return their number."""
    mine = orphans(stack.config)
    for process in mine:
        with suppress(psutil.NoSuchProcess):
            process.suspend()  # supervisord would start others meanwhile
    for process in orphans(stack.config):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    if left := survivors(mine, 10):
        raise RuntimeError(f"{len(left)} processes live on")
    return len(mine)


class Drill:
    """One run of the drill."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        self._settings: Settings = stack.config.settings
        self._started = time.monotonic()
        self._seconds: dict[str, float] = {}
        self._ids: list[str] = []
        self._later: list[str] = []

    def say(self, text: str) -> None:
        """Print what happened, with its second."""
        console.print(f"{time.monotonic() - self._started:5.1f} s  {text}", soft_wrap=True)

    def back_up(self, clients: Clients) -> Kept:
        """Make a backup under load, and return what was there before."""
        time.sleep(LOAD_SECONDS)
        before, asked = Kept.of(self._stack), clients.take()
        self._ids = asked.ids
        self.say(f"under load: {len(asked.ids):,} answers so far, {asked.failures.total()} requests failed")
        time.sleep(MAY_BE_LOST_SECONDS)
        began = time.monotonic()
        command(self._settings, "backup", "--to", str(self._folder), "--keys")
        self._seconds["backup_seconds"] = time.monotonic() - began
        self.say(f"backed up: {self._archive().stat().st_size / 1e6:.1f} MB with {len(before.digests):,} objects")
        return before

    def lose_everything(self, clients: Clients) -> None:
        """Kill all programs, delete the state, and restore it."""
        time.sleep(MAY_BE_LOST_SECONDS)
        self._later = clients.take().ids
        self.say(f"killed {kill_everything(self._stack)} processes")
        self._lost = time.monotonic()
        shutil.rmtree(self._settings.state_dir)
        self.say("deleted the state")
        command(self._settings, "restore", "--from", str(self._archive()))
        self._seconds["restore_seconds"] = time.monotonic() - self._lost
        self.say("restored")

    def wait(self, stack: Stack) -> None:
        """Wait until the restored stack predicts."""
        until(lambda: answers(stack), "an answer")
        self._seconds["seconds_without"] = time.monotonic() - self._lost
        self.say("predictions again")

    def compare(self, before: Kept, stack: Stack) -> list[str]:
        """Return what differs in the restored stack, which nobody asks any more."""
        found = [f"{name} differ" for name in before.differences(Kept.of(stack))]
        with psycopg.connect(stack.config.database_url("penguins")) as connection:
            logged, later = audit(stack, connection, self._ids), audit(stack, connection, self._later)
        if logged.lost or logged.duplicate or later.duplicate:
            found.append(f"the log: {logged}, of those since then {later}")
        rows = sum(map(len, before.audit.values()))
        self.say(
            f"compared {len(before.digests):,} digests, {len(before.versions['model_versions'])} versions, {rows} rows "
            f"of the audit trail, {logged.answers:,} logged answers: {', '.join(found) or 'all as before'}"
        )
        self.say(f"of the {later.answers:,} answers during and after the backup {later.lost:,} are lost")
        return found

    def end(self, differences: list[str]) -> NoReturn:
        """Print what took how long, and end the program, with an error if there are differences."""
        seconds = " ".join(f"{name}={value:.1f}" for name, value in self._seconds.items())
        console.print(f"{seconds} differences={len(differences)}")
        sys.exit(bool(differences))

    def _archive(self) -> Path:
        (path,) = self._folder.glob("*.tar.gz")
        return path


def main() -> None:
    """Run the drill on a separate stack."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with trained_stack(versions=3) as (stack, versions), ExitStack() as running:
        drill = Drill(stack, Path(running.enter_context(tempfile.TemporaryDirectory())))
        promote(versions[1])
        stack.up("api", "shipper")
        until(lambda: answers(stack), "the first answer")
        with Clients(stack.urls["api"]) as clients:
            before = drill.back_up(clients)
            drill.lose_everything(clients)
            restored = running.enter_context(Stack(stack.config.settings).running("mlflow", "api", "shipper"))
            drill.wait(restored)
        differences = drill.compare(before, restored)
    drill.end(differences)


if __name__ == "__main__":
    main()

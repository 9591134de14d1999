"""Outage drill: kill each dependency of the service, then the service itself, under load.

    python -m benchmarks.serve_drill

Prints the clients' results during each outage, and the time until the service followed the registry again. As root the
disk of the prediction log is a small one, which is full for a while. Afterwards each answer is looked for in the
prediction log. Exits with 1 if a client got no answer while the service was up, or if
an answer is missing in the log without being counted, or is there twice.
"""

import argparse
import os
import sys
import time
from contextlib import ExitStack, suppress

import httpx
import psutil
import psycopg
from mlflow.entities.model_registry import ModelVersion
from rich.console import Console
from rich.table import Column, Table

from benchmarks.log_audit import audit, counted
from benchmarks.serve_load import Clients, Seen
from benchmarks.serve_stack import PENGUIN, promote, trained_stack
from benchmarks.small_disk import fill, mounted, own_mounts
from local.stack import Stack
from local.waiting import until
from penguins.registry import model_versions
from penguins.training.tracking import client

OUTAGE_SECONDS = 5
BACK = ("postgres", "s3", "mlflow", "shipper")

console = Console(highlight=False, width=160)


class Drill:
    """One run of the drill."""

    def __init__(self, stack: Stack, versions: list[ModelVersion], clients: Clients) -> None:
        self._stack, self._versions, self._clients = stack, versions, clients
        self._url = stack.urls["api"]
        self._turn = 0
        self.failures = 0
        self.ids: list[str] = []
        columns = ("", "answers", "failed", "p50 ms", "p99 ms", "by version")
        self.table = Table(*columns, Column("status of the service", no_wrap=True, overflow="ellipsis"), box=None)

    def outage(self, *names: str) -> None:
        """Kill some programs, observe, start them again, and wait for the next version."""
        version = self._next()
        self._forget()
        for name in names:
            self._kill(name)
        if names == ("s3",):  # promote() would refuse a version that can't be downloaded, so set the alias.
            client().set_registered_model_alias(version.name, model_versions.ALIAS, version.version)
        time.sleep(OUTAGE_SECONDS)
        self._record(f"without {' and '.join(names)}", self._clients.take(), self._poll())
        for name in BACK:
            if name in names:
                self._stack.start(name)
        started = time.perf_counter()
        promote(version)
        until(lambda: self._answers(version.version), f"version {version.version} to serve")
        took = time.perf_counter() - started
        self._record("  back again", self._clients.take(), f"version {version.version} after {took:.1f} s")

    def full_disk(self) -> None:
        """Leave no room on the disk of the prediction log, observe, and make room again."""
        self._clients.take()
        before = counted(self._url)
        fill(self._stack.config.layout.prediction_log, OUTAGE_SECONDS)
        seen = self._clients.take()
        until(lambda: counted(self._url) > before, "the service to count what it has dropped")
        self._record("the log's disk full", seen, f"{counted(self._url) - before} predictions counted as dropped")

    def restart_without_registry(self) -> None:
        """Kill MLflow, then the service, and wait until the service has started from its copies on disk."""
        self._kill("mlflow")
        self._forget()
        self._kill("api")
        started = time.perf_counter()
        self._stack.start("api")
        until(lambda: self._answers(None), "an answer from the disk cache")
        took = time.perf_counter() - started
        status = f"first answer {took:.1f} s after its start, from {self._status()['model']['origin']}"
        self._record("service killed, without mlflow", self._clients.take(), status, may_fail=True)
        self._stack.start("mlflow")

    def _forget(self) -> None:
        """Leave the answers until now out of the table, but not out of what is looked for in the log."""
        self.ids += self._clients.take().ids

    def _kill(self, name: str) -> None:
        pid = self._stack.states()[name].pid
        for process in [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]:
            with suppress(psutil.NoSuchProcess):  # A child may end together with its parent.
                process.kill()
        self._stack.stop(name)  # Otherwise supervisord would restart the program at once.

    def _next(self) -> ModelVersion:
        self._turn += 1
        return self._versions[self._turn % len(self._versions)]

    def _answers(self, version: str | None) -> bool:
        try:
            answer = httpx.post(f"{self._url}/predict", json=PENGUIN)
        except httpx.TransportError:
            return False
        return answer.is_success and version in (None, answer.json()["model_version"])

    def _status(self) -> dict[str, dict[str, str]]:
        return dict(httpx.get(f"{self._url}/model").json())

    def _poll(self) -> str:
        poll = self._status()["last_poll"]
        return f"{poll['outcome']}: {poll['detail']}"

    def _record(self, event: str, seen: Seen, status: str, may_fail: bool = False) -> None:
        failed = ", ".join(f"{number} x {kind}" for kind, number in seen.failures.items()) or "0"
        versions = ", ".join(f"v{version}: {number}" for version, number in sorted(seen.versions.items()))
        numbers = [f"{seen.percentile(percent):.1f}" for percent in (50, 99)]
        self.table.add_row(event, str(len(seen.milliseconds)), failed, *numbers, versions, status)
        self.ids += seen.ids
        self.failures += 0 if may_fail else seen.failures.total()
        console.print(f"{event}: {len(seen.milliseconds)} answers, {failed} failed; {status[:160]}", soft_wrap=True)


def main() -> None:
    """Run the drill on a separate stack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    trouble = own_mounts()
    with trained_stack(versions=2) as (stack, versions), ExitStack() as disk:
        if not trouble:
            disk.enter_context(mounted(stack.config.layout.prediction_log))
        stack.up("api", "shipper")
        until(lambda: httpx.get(f"{stack.urls['api']}/health/ready").is_success, "the first version")
        with Clients(stack.urls["api"]) as clients:
            drill = Drill(stack, versions, clients)
            for names in (("s3",), ("postgres",), ("mlflow",), ("shipper",), BACK):
                drill.outage(*names)
            if trouble:
                console.print(f"the log's disk full: skipped, {trouble}")
            else:
                drill.full_disk()
            drill.restart_without_registry()
        with psycopg.connect(os.environ["AIRFLOW_CONN_PENGUINS_DB"]) as connection:
            logged = audit(stack, connection, drill.ids + clients.take().ids)
    console.print(drill.table)
    is_full = "skipped" if trouble else "yes"
    console.print(f"{logged.answers} answers failed_while_up={drill.failures} disk_full={is_full} {logged}")
    sys.exit(drill.failures > 0 or logged.duplicate > 0 or logged.lost > logged.counted)


if __name__ == "__main__":
    main()

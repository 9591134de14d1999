"""Drill of the closed loop: traffic that shifts, the alarm, a better version by way of the shadow, and back.

    python -m benchmarks.drill_drift

On a stack of its own, with windows of 20 s instead of an hour: a client sends real requests and tells the true classes.
Prints what happened at which second, and what the page about monitoring said. Exits with 1 if a step is missing.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
from rich.console import Console

from benchmarks.commands import command
from benchmarks.drill_traffic import NAME, Traffic, contract
from local import environment
from local.clients.service import Service
from local.errors import StackError
from local.settings import REPO, Settings
from local.stack import Stack

WINDOW: Final = "20s"
STABLE: Final = 3  # windows
LONGEST: Final = 180  # seconds that a step may take
ENOUGH: Final = 100  # true classes of a window that show an accuracy
RECOVERED: Final = 0.9  # accuracy

console = Console(highlight=False, width=160, markup=False)


class MissingStepError(Exception):
    """A step of the drill didn't happen in time."""


class Drill:
    """One run of the drill on a stack that is up."""

    def __init__(self, stack: Stack, told: list[dict[str, str]], started: float) -> None:
        self._told, self._started = told, started
        self._url, self._password = stack.urls["airflow-api-server"], stack.config.credentials.airflow_password
        self._service = Service(stack.urls["api"], NAME)
        self._settings = stack.config.settings
        address = environment.tasks(stack.config)["AIRFLOW_CONN_PENGUINS_DB"]
        self._database = psycopg.connect(address, autocommit=True)

    def say(self, text: str) -> None:
        """Print what happened, with its second."""
        console.print(f"{time.monotonic() - self._started:5.0f} s  {text}", soft_wrap=True)

    def wait(self, what: str, look: Callable[[], Any], seconds: float = LONGEST) -> Any:
        """Wait until `look` returns something, and say it.

        Raises:
            MissingStepError: it doesn't in time.
        """
        end = time.monotonic() + seconds
        while not (found := look()):
            if time.monotonic() > end:
                raise MissingStepError(f"{what}: nothing within {seconds:.0f} s")
            time.sleep(0.5)
        self.say(f"{what}: {found}" if isinstance(found, str) else what)
        return found

    def page(self) -> None:
        """Say what the page about monitoring says."""
        login = {"username": "admin", "password": self._password}
        token = httpx.post(f"{self._url}/auth/token", json=login, timeout=60).raise_for_status().json()["access_token"]
        answer = httpx.get(
            f"{self._url}/penguins/api/monitoring",
            params={"contract": NAME, "hours": 1},
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )
        self.say(f"the page: {answer.raise_for_status().json()['trust']['sentence']}")

    def run(self, traffic: Traffic) -> None:
        """Go through all steps."""
        self.wait(f"{STABLE} windows of stable traffic", self._stable)
        if self._alarms():
            raise MissingStepError(f"no alarm while the traffic is stable: {self._alarms()}")
        self.say("no alarm so far")
        self.page()
        traffic.are_fast = True
        self.say("the traffic shifts: faster machines")
        self.wait("alarm", lambda: "; ".join(self._alarms()))
        self.wait("the receiver was told", lambda: self._title(f"{NAME}: "))
        self.page()
        self.wait("training for the alarm", lambda: self._one("SELECT min(run_id) FROM monitoring.alarms"))
        self.wait("in the shadow", lambda: self._version("shadow"))
        self.wait("promoted after its time in the shadow", lambda: self._version("model", after="1"))
        self.wait("the receiver was told", lambda: self._title(f"{NAME} version 2 was promoted"))
        self.wait("recovered, right by the truth on", self._recovered)
        self.page()
        closed = "SELECT min(outcome) FILTER (WHERE run_id IS NOT NULL) FROM monitoring.alarms"
        self.wait("the alarm is closed", lambda: self._one(closed))
        command(
            self._settings, "penguins", "rollback", f"--contract={NAME}", "--model=", "--reason=the drill goes back"
        )
        self.wait("rolled back to", lambda: self._service.version() == "1" and "version 1")

    def _one(self, query: str) -> Any:
        row = self._database.execute(f"{query} WHERE contract = '{NAME}'".encode()).fetchone()
        return row[0] if row else None

    def _stable(self) -> bool:
        count: int = self._one("SELECT count(*) FILTER (WHERE verdict = 'stable') FROM monitoring.verdicts")
        return count >= STABLE

    def _alarms(self) -> list[str]:
        rows = self._database.execute("SELECT kind, reason FROM monitoring.alarms WHERE contract = %s", [NAME])
        return [f"{kind}: {reason}" for kind, reason in rows]

    def _title(self, begins: str) -> str:
        return next((each["title"] for each in self._told if each["title"].startswith(begins)), "")

    def _version(self, place: str, after: str = "") -> str:
        found = self._service.status().get(place)
        return f"version {found['version']}" if found and found["version"] != after else ""

    def _recovered(self) -> str:
        query = """SELECT (live->'accuracy'->>'value')::float8, (live->>'labelled')::int FROM monitoring.verdicts
            WHERE contract = %s AND version = '2' AND live ? 'labelled' ORDER BY window_end DESC LIMIT 1"""
        row = self._database.execute(query, [NAME]).fetchone()
        return f"{row[0]:.1%} of {row[1]} rows" if row and row[1] >= ENOUGH and row[0] > RECOVERED else ""


@contextmanager
def receiver() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Receive notices during the block: the address to tell, and what arrives there."""
    told: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_port}", told
        server.shutdown()


def main() -> None:
    """Start a stack and run the drill."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, receiver() as (address, told):
        contracts = Path(folder, "contracts")
        contracts.mkdir()
        (contracts / "penguins.yaml").write_bytes((REPO / "contracts" / "penguins.yaml").read_bytes())
        (contracts / f"{NAME}.yaml").write_text(contract(Path(folder, f"{NAME}.csv"), WINDOW))
        os.environ |= {
            "PENGUINS_CONTRACTS_DIR": str(contracts),
            "PENGUINS_MONITORING_WINDOW": "1d",  # of the penguins, whom nobody asks for here
            "PENGUINS_NOTIFY_URL": address,
        }
        with Stack(Settings.on_free_ports(Path(folder, "state"))).running() as stack:
            drill = Drill(stack, told, started)
            drill.say("the stack is up")
            missing = ""
            try:
                command(stack.config.settings, "run", f"--contract={NAME}")
                drill.say("version 1 was trained, promoted and serves")
                with Traffic(stack.urls["api"]) as traffic:
                    drill.run(traffic)
            except (MissingStepError, StackError, httpx.HTTPError) as error:
                missing = str(error)
                drill.say(f"MISSING {missing}")
            else:
                console.print(f"{traffic.answers:,} answers, {traffic.failures} requests failed")
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()

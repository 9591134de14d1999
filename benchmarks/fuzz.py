"""Fuzz: send damaged tables to the service, and report deaths, answers of 500 and above, and memory.

    python -m benchmarks.fuzz [--seconds 600] [--seed 1]

Two clients send tables in CSV, Arrow and Parquet with some bytes changed; the same seed gives the same tables. A third
one sends single penguins, which must all be answered. Memory is that of the service and its workers, before the first
table and after a minute without one, when the workers have ended: on a busy machine the last table may take longer than
that. Exits with 1 if the service died or failed, or if workers don't end.
"""

import argparse
import sys
import threading
import time
from collections import Counter
from itertools import count

import httpx
import psutil
from rich.console import Console

from benchmarks.damaged_tables import damaged
from benchmarks.serve_load import Clients
from benchmarks.serve_stack import trained_stack
from local.stack import Stack
from local.waiting import until

CLIENTS = 2
OVERLOADED = 503
FIRST_FAILURE = 500
IDLE_SECONDS = 75
LONGEST_SECONDS = 300

console = Console(highlight=False)


class Fuzz:
    """Clients that send damaged tables until a time."""

    def __init__(self, url: str, seconds: float, seed: int) -> None:
        self._url, self._end = url, time.monotonic() + seconds
        self._threads = [threading.Thread(target=self._send, args=(seed * CLIENTS + one,)) for one in range(CLIENTS)]
        self.answers: Counter[str] = Counter()
        """Number of answers by status, or by the name of the error in their place."""

    def run(self) -> None:
        """Send tables until the end."""
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join()

    def _send(self, seed: int) -> None:
        with httpx.Client(base_url=self._url, timeout=LONGEST_SECONDS) as client:
            for number, (media_type, body) in zip(count(), damaged(seed), strict=False):
                if time.monotonic() > self._end:
                    return
                try:
                    answer = client.post("/predict", content=body, headers={"Content-Type": media_type})
                    outcome = str(answer.status_code)
                except httpx.TransportError as error:
                    outcome = type(error).__name__
                if is_failure(outcome):
                    console.print(f"{outcome} for table {number} of seed {seed}, {media_type}")
                self.answers[outcome] += 1


def is_failure(outcome: str) -> bool:
    """Return whether an answer is a failure of the service; 503 isn't, with as many clients as places."""
    return not outcome.isdecimal() or (int(outcome) >= FIRST_FAILURE and int(outcome) != OVERLOADED)


def megabytes(process: psutil.Process) -> float:
    """Return the resident memory of the service and its workers; memory that they share counts once."""
    return float(sum(each.memory_full_info().pss for each in (process, *process.children(recursive=True)))) / 2**20


def endings(url: str) -> list[str]:
    """Return the counts of tables whose worker ended without an answer."""
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return [line.removeprefix("penguins_tables_ended_total") for line in lines if "tables_ended_total{" in line]


def service(stack: Stack) -> psutil.Process:
    """Return the process of the service, which is another one after a death."""
    return psutil.Process(stack.states()["api"].pid)


def main() -> None:
    """Send tables to the service of a separate stack, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600, help="length of the fuzzing (default 600)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the tables (default 1)")
    options = parser.parse_args()
    with trained_stack(versions=1) as (stack, _):
        stack.up("api")
        url = stack.urls["api"]
        until(lambda: httpx.get(f"{url}/health/ready").is_success, "the version to serve")
        process = service(stack)
        before = megabytes(process)
        fuzz = Fuzz(url, options.seconds, options.seed)
        with Clients(url, number=1) as others:
            fuzz.run()
            seen = others.take()
        ended = endings(url)
        during = megabytes(process) if process.is_running() else float("nan")
        waiting = time.monotonic()
        time.sleep(IDLE_SECONDS)
        until(lambda: not service(stack).children(), "the end of the workers", LONGEST_SECONDS)
        waited = time.monotonic() - waiting
        deaths = int(service(stack) != process)
        after = megabytes(service(stack))
    failures = sum(number for outcome, number in fuzz.answers.items() if is_failure(outcome)) + seen.failures.total()
    console.print(f"tables by status: {dict(fuzz.answers)}; ended without an answer: {', '.join(ended) or 'none'}")
    console.print(f"single penguins: {len(seen.milliseconds)} answered, {seen.failures.total()} failed")
    console.print(f"memory: {before:.0f} MB before, {during:.0f} MB at the end, {after:.0f} MB {waited:.0f} s later")
    print(f"tables={fuzz.answers.total()} deaths={deaths} failures={failures} grown_mb={after - before:.0f}")
    sys.exit(bool(deaths or failures))


if __name__ == "__main__":
    main()

"""The prediction log: its cost for a request, and the way of its rows into the database.

    python -m benchmarks.log [--rounds 6] [--seconds 60] [--rows 2000000]

The service runs twice with the same model, once without a log, and answers single penguins in turn; then twice with a
log, once with a second version in the shadow. Then lists are sent to one with a log for some time, and a shipper works.
The backlog of rows is written directly into the spool of a stack, whose shipper starts then; half as many truths, a
million at most, follow. Last, clients ask a service while PostgreSQL is gone for half a minute, the shipper is killed
twenty times and the service once. The last line gives medians over the rounds.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
from mlflow.entities.model_registry import ModelVersion
from psycopg import Connection
from rich.console import Console

from benchmarks.log_audit import Audit, audit, is_empty, kill_shipper
from benchmarks.log_backlog import MODEL, write_backlog, write_truths
from benchmarks.serve_load import Clients
from benchmarks.serve_peers import Server
from benchmarks.serve_stack import PENGUIN, trained_stack
from benchmarks.serve_tables import CONNECTIONS, served
from benchmarks.serve_wrk import Load, load
from local.settings import REPO
from local.stack import Stack
from local.waiting import until
from penguins.monitoring.predictions import Filter, latest
from penguins.training.tracking import registry

SECONDS = 4
LIST_ROWS, LIST_CONNECTIONS = 1000, 4
MOST_TRUTHS = 1_000_000
SHIP_SECONDS = 1800
KILLS, WITHOUT_DATABASE_SECONDS = 20, 30
FIELDS = {"cpu": "cpu_milliseconds", "rps": "rate", "p99": "p99"}

console = Console(highlight=False, width=160)


@dataclass(frozen=True)
class Lists:
    """Lists of rows, sent for a time.

    Attributes:
        megabytes: growth of the service's memory.
    """

    rows_per_second: float
    megabytes: float


def compare(cache: Path, model: str, number: int) -> tuple[Load, Load]:
    """Measure single penguins with and without the log, in processes of their own."""
    with (
        tempfile.TemporaryDirectory() as spool,
        served(REPO, cache, model, SERVING_LOG_DIR=spool) as on,
        served(REPO, cache, model) as off,
    ):
        return in_turn(on, off, number, "the log")


def compare_shadow(cache: Path, challenger: ModelVersion, number: int) -> tuple[Load, Load]:
    """Measure single penguins with the log, with and without a version in the shadow, in processes of their own."""
    model = challenger.name
    with (
        tempfile.TemporaryDirectory() as spools,
        served(REPO, cache, model, SERVING_LOG_DIR=f"{spools}/off", SERVING_POLL_SECONDS="86400") as off,
    ):
        until(lambda: httpx.get(_status(off)).json()["last_poll"], "the only poll of the other one")
        registry().set_registered_model_alias(model, "shadow", challenger.version)
        try:
            with served(REPO, cache, model, SERVING_LOG_DIR=f"{spools}/on") as on:
                until(lambda: "shadow" in httpx.get(_status(on)).json(), "the version to answer in the shadow")
                return in_turn(on, off, number, "a shadow")
        finally:
            registry().delete_registered_model_alias(model, "shadow")


def _status(server: Server) -> str:
    return server.url.replace("/predict", "/model")


def in_turn(on: Server, off: Server, number: int, what: str) -> tuple[Load, Load]:
    """Measure two services in turn, of which the first has something that the other hasn't."""
    for each in (on, off):
        load(each, CONNECTIONS, 1)
    order = (on, off) if number % 2 else (off, on)
    seen = {each.url: load(each, CONNECTIONS, SECONDS) for each in order}
    found = seen[on.url], seen[off.url]
    console.print(f"{number + 1} with {what} {found[0].rate:.0f}/s, without {found[1].rate:.0f}/s")
    return found


def lists(stack: Stack, cache: Path, model: str, seconds: int) -> Lists:
    """Send lists for some seconds to a service whose log is shipped meanwhile."""
    stack.start("shipper")
    with served(REPO, cache, model, SERVING_LOG_DIR=str(stack.config.layout.prediction_log)) as server:
        server.bodies, server.expected = [json.dumps([PENGUIN] * LIST_ROWS)], '"prediction":[0'
        load(server, LIST_CONNECTIONS, 5)
        before = server.megabytes()
        rate = load(server, LIST_CONNECTIONS, seconds).rate * LIST_ROWS
        found = Lists(rate, server.megabytes() - before)
    console.print(f"{found.rows_per_second:,.0f} rows/s in lists, memory {found.megabytes:+.1f} MB")
    return found


def backlog(stack: Stack, connection: Connection[Any], rows: int) -> float:
    """Return the rows per second in which the shipper brings in predictions, and print other times."""
    spool = stack.config.layout.prediction_log
    until(lambda: is_empty(spool), "the log of the lists to arrive", SHIP_SECONDS)
    stack.stop("shipper")
    ids = write_backlog(spool, rows)

    def ship() -> None:
        stack.start("shipper")
        until(lambda: is_empty(spool), "the backlog to arrive", SHIP_SECONDS)

    seconds = timed(f"{rows:,} predictions shipped", ship)
    stack.stop("shipper")
    truths = ids[: min(MOST_TRUTHS, rows // 2)]
    write_truths(spool, truths)
    timed(f"{len(truths):,} truths shipped", ship)
    connection.execute("ANALYZE log.feedback")
    join = """SELECT predictions.class, truth.class, count(*) FROM log.predictions JOIN log.truth
              USING (prediction_id, row_index) WHERE predictions.model = %s GROUP BY 1, 2"""
    timed(f"{len(truths):,} truths joined", lambda: connection.execute(join, [MODEL]).fetchall())
    for name, wanted in {"latest": Filter(MODEL), "latest of a class": Filter(MODEL, class_name="b")}.items():
        timed(f"{name} of {rows:,}", lambda wanted=wanted: latest(connection, wanted, 50))  # type: ignore[misc]
    sums = "SELECT date_trunc('hour', hour), class, sum(rows) FROM log.traffic GROUP BY 1, 2"
    timed("sums by hour and class", lambda: connection.execute(sums).fetchall())
    return rows / seconds


def timed(name: str, work: Callable[[], object]) -> float:
    """Run, print and return the seconds that it took."""
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    console.print(f"{name}: {seconds:.2f} s")
    return seconds


def trouble(stack: Stack) -> Audit:
    """Ask while the database, the shipper and the service go and come back; say what became of the answers."""
    stack.up("api", "shipper")
    with Clients(stack.urls["api"]) as clients:
        for _ in range(KILLS):
            time.sleep(0.5)
            kill_shipper(stack)
        stack.stop("postgres")
        time.sleep(WITHOUT_DATABASE_SECONDS)
        stack.start("postgres")
        stack.stop("api")
        stack.start("api")
        time.sleep(2)
    stack.start("shipper")
    with psycopg.connect(os.environ["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as connection:
        found = audit(stack, connection, clients.take().ids)
    console.print(f"{found.answers} answers in times of trouble: {found}")
    return found


def main() -> None:
    """Measure, and print the results and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6, help="how often single penguins are measured (default 6)")
    parser.add_argument("--seconds", type=int, default=60, help="for how long lists are sent (default 60)")
    parser.add_argument("--rows", type=int, default=2_000_000, help="size of the backlog (default 2,000,000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, trained_stack(versions=2) as (stack, versions):
        os.environ["SERVING_TRUSTED_KEYS"] = stack.environment["PENGUINS_TRUSTED_KEYS"]
        console.print(f"load of the machine before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
        cache, model = Path(name, "cache"), versions[0].name
        # Anew each time: the same program takes up to a tenth more or less time in another process.
        pairs = [compare(cache, model, number) for number in range(options.rounds)]
        shadowed = [compare_shadow(cache, versions[1], number) for number in range(options.rounds)]
        sent = lists(stack, cache, model, options.seconds)
        with psycopg.connect(os.environ["AIRFLOW_CONN_PENGUINS_DB"], autocommit=True) as connection:
            backlog_rate = backlog(stack, connection, options.rows)
        found = trouble(stack)
    marks = []
    for measured, what, name in ((pairs, "the log", "on_over_off"), (shadowed, "a shadow", "shadow_over_log")):
        for key, field in FIELDS.items():
            ratios = sorted(getattr(on, field) / getattr(off, field) for on, off in measured)
            console.print(f"{key} with {what} against without: {ratios[0]:.2f} to {ratios[-1]:.2f}")
            marks.append(f"{key}_{name}={statistics.median(ratios):.3f}")
    print(
        f"{' '.join(marks)} rows_per_s={sent.rows_per_second:.0f} memory_growth_mb={sent.megabytes:.0f}"
        f" backlog_rows_per_s={backlog_rate:.0f} {found}"
    )


if __name__ == "__main__":
    main()

"""Our service against that of another commit: single penguins and tables, and what a table costs others.

    python -m benchmarks.serve_tables [--against d82a8fc] [--rounds 5]

Single penguins are sent at a fixed 500 a second, with and without a table of a million rows beside them, in turn. The
same table goes to the service of another commit, which runs beside ours with the same model, in turn with ours; so do
single penguins, as fast as each answers over 16 connections. The last line gives medians over the rounds.
"""

import argparse
import asyncio
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import uvloop
from rich.console import Console

from benchmarks.serve_earlier import earlier_version
from benchmarks.serve_peers import Server
from benchmarks.serve_stack import PENGUIN, trained_stack
from benchmarks.serve_wrk import Load, load
from local.ports import free_ports
from local.settings import REPO
from local.waiting import until

FIRST_STAGE = "d82a8fc"
ROWS = 1_000_000
RATE, SECONDS, CONNECTIONS = 500, 4, 16
SMALL_ROWS, SMALL_TABLES = 10, 100
WARM = 0.2
"""Seconds in which the launcher has a worker ready for the next table."""

PARQUET, CSV = "application/vnd.apache.parquet", "text/csv"

console = Console(highlight=False)
client = httpx.Client(timeout=600)  # a new one for each table would take longer than a small table


def columns(rows: int) -> dict[str, "np.ndarray[tuple[int], np.dtype[np.float64]]"]:
    """Return penguins of all sizes, with a decimal."""
    random = np.random.default_rng(0)
    ranges = zip(PENGUIN, ((32, 60), (13, 22), (172, 231), (2700, 6300)), strict=True)
    return {name: random.uniform(low, high, rows).round(1) for name, (low, high) in ranges}


def parquet(rows: int) -> bytes:
    """Return a table in Parquet."""
    pq.write_table(pa.table(columns(rows)), sink := io.BytesIO())
    return sink.getvalue()


def csv(rows: int) -> bytes:
    """Return a table in CSV."""
    lines = [",".join(PENGUIN), *(",".join(map(str, row)) for row in zip(*columns(rows).values(), strict=True))]
    return "\n".join(lines).encode()


def send(url: str, body: bytes, media_type: str) -> float:
    """Send a table; return the seconds until its whole answer."""
    started = time.perf_counter()
    client.post(f"{url}/predict", content=body, headers={"Content-Type": media_type}).raise_for_status()
    return time.perf_counter() - started


def send_small(url: str, body: bytes, pause: float) -> float:
    """Send a small table in CSV after a pause in seconds; return the milliseconds until its whole answer."""
    time.sleep(pause)
    return send(url, body, CSV) * 1000


class Steady:
    """Single penguins at a fixed rate: a late answer doesn't delay the next request."""

    def __init__(self, url: str) -> None:
        self._port = int(url.rpartition(":")[2])
        body = json.dumps(PENGUIN, separators=(",", ":"))
        lines = ["POST /predict HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
        self._request = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]).encode()

    def p99(self) -> float:
        """Return the 99th percentile of the milliseconds from when a request is due to its answer."""
        return float(np.percentile(uvloop.run(self._all()), 99))

    async def _all(self) -> list[float]:
        started = time.perf_counter() + 0.1
        parts = await asyncio.gather(*(self._one(started, number) for number in range(CONNECTIONS)))
        return [each for part in parts for each in part]

    async def _one(self, started: float, first: int) -> list[float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        found = []
        for number in range(first, RATE * SECONDS, CONNECTIONS):
            due = started + number / RATE
            await asyncio.sleep(max(0, due - time.perf_counter()))
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
            found.append((time.perf_counter() - due) * 1000)
        writer.close()
        return found


@contextmanager
def served(code: Path, cache: Path, model: str, **more: str) -> Iterator[Server]:
    """Run the service of a checkout during the block, with more environment variables."""
    port = free_ports(1)[0]
    url = f"http://127.0.0.1:{port}"
    variables = {"SERVING_PORT": str(port), "SERVING_CACHE_DIR": str(cache), "SERVING_MODEL_NAME": model}
    environment = os.environ | variables | more | {"PYTHONPATH": str(code)}
    command = [sys.executable, "-m", "serving"]
    with subprocess.Popen(command, cwd=code, env=environment, stderr=subprocess.DEVNULL) as process:
        until(lambda: _is_ready(url), f"the service in {code}")
        yield Server(
            code.name, f"{url}/predict", [json.dumps(PENGUIN)], '"prediction":[0]', psutil.Process(process.pid)
        )
        process.terminate()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready").is_success
    except httpx.TransportError:
        return False


def beside_a_table(url: str, table: bytes) -> float:
    """Return the 99th percentile while tables are answered one after the other."""
    end = threading.Event()

    def send_tables() -> None:
        while not end.is_set():
            send(url, table, PARQUET)

    sending = threading.Thread(target=send_tables)
    sending.start()
    try:
        return Steady(url).p99()
    finally:
        end.set()
        sending.join()


def median_ratio(loads: list[tuple[Load, Load]], field: str) -> float:
    """Return the median over the rounds of the ratio of the two services' values."""
    return float(statistics.median(getattr(one, field) / getattr(other, field) for one, other in loads))


def main() -> None:
    """Measure, and print the results and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", default=FIRST_STAGE, help=f"the other commit (default {FIRST_STAGE})")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured (default 5)")
    options = parser.parse_args()
    table, small = parquet(ROWS), csv(SMALL_ROWS)
    calm, busy, ours, theirs = ([] for _ in range(4))
    singles: list[tuple[Load, Load]] = []
    with tempfile.TemporaryDirectory() as name, trained_stack(versions=1) as (stack, versions):
        os.environ["SERVING_TRUSTED_KEYS"] = stack.environment["PENGUINS_TRUSTED_KEYS"]
        earlier = earlier_version(versions[0])
        other = Path(name, "other")
        subprocess.run(["git", "clone", "--quiet", str(REPO), str(other)], check=True)
        subprocess.run(["git", "-C", str(other), "checkout", "--quiet", options.against], check=True)
        with (
            served(REPO, Path(name, "cache"), versions[0].name) as server,
            served(other, Path(name, "other-cache"), earlier) as other_server,
        ):
            url, other_url = (each.url.removesuffix("/predict") for each in (server, other_server))
            console.print(f"load of the machine before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
            for each in (server, other_server):
                load(each, CONNECTIONS, 1)
            for number in range(1, options.rounds + 1):
                singles.append((load(server, CONNECTIONS, SECONDS), load(other_server, CONNECTIONS, SECONDS)))
                console.print(f"{number} single penguins: {singles[-1][0].rate:.0f}/s, {singles[-1][1].rate:.0f}/s")
            for address in (url, other_url):
                send(address, table, PARQUET)
            for number in range(1, options.rounds + 1):
                ours.append(send(url, table, PARQUET))
                theirs.append(send(other_url, table, PARQUET))
                calm.append(Steady(url).p99())
                busy.append(beside_a_table(url, table))
                console.print(
                    f"{number} a million rows {ours[-1]:.2f} s, {options.against} {theirs[-1]:.2f} s;"
                    f" p99 {calm[-1]:.2f} ms, beside a table {busy[-1]:.2f} ms"
                )
            warm, at_once = ([send_small(url, small, pause) for _ in range(SMALL_TABLES)] for pause in (WARM, 0))
    ratios = [first / second for first, second in zip(ours, theirs, strict=True)]
    slower = [first / second for first, second in zip(busy, calm, strict=True)]
    print(
        f"million_rows_vs_other={statistics.median(ratios):.2f} p99_beside_table={statistics.median(slower):.2f}"
        f" csv_10_rows_ms={statistics.median(warm):.1f} csv_10_rows_at_once_ms={statistics.median(at_once):.1f}"
        f" singles_vs_other={median_ratio(singles, 'rate'):.3f}"
        f" cpu_of_singles_vs_other={median_ratio(singles, 'cpu_milliseconds'):.3f}"
    )


if __name__ == "__main__":
    main()

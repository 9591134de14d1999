"""Further measurements: large batches, the start from the disk cache, and promotions under load."""

import io
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.entities.model_registry import ModelVersion

from benchmarks.serve_peers import Penguin, Server
from benchmarks.serve_stack import promote
from benchmarks.serve_wrk import Load, load
from local.ports import free_ports
from local.waiting import until

BATCH, ROUNDS = 10_000, 15
TABLE_ROWS = 1_000_000
PROMOTIONS, PROMOTION_SECONDS = 10, 20
PARQUET = "application/vnd.apache.parquet"


def batch(ours: Server, plain: Server, penguins: list[Penguin]) -> tuple[float, float]:
    """Return the median seconds for a list of 10,000 penguins, measured in turn: ours, then the plain service's."""
    body = json.dumps((penguins * BATCH)[:BATCH])
    sides: dict[str, list[float]] = {ours.url: [], f"{plain.url}_many": []}
    with httpx.Client(headers={"Content-Type": "application/json"}, timeout=60) as client:
        for _ in range(ROUNDS):
            for url, seconds in sides.items():
                started = time.perf_counter()
                answer = client.post(url, content=body)
                seconds.append(time.perf_counter() - started)
                assert answer.json()["prediction"] == [2] * BATCH
    first, second = (statistics.median(seconds) for seconds in sides.values())
    return first, second


def table(ours: Server, penguins: list[Penguin]) -> tuple[float, float]:
    """Send a million rows as Parquet; return the seconds, and the growth of the peak memory in megabytes.

    A table of a tenth comes first, so that the memory of pyarrow itself isn't counted.
    """
    _send(ours, penguins, TABLE_ROWS // 10)
    before = _peak(ours.process)
    started = time.perf_counter()
    _send(ours, penguins, TABLE_ROWS)
    return time.perf_counter() - started, (_peak(ours.process) - before) / 2**20


def _send(ours: Server, penguins: list[Penguin], number: int) -> None:
    columns = {name: np.resize([penguin[name] for penguin in penguins], number).astype(float) for name in penguins[0]}
    pq.write_table(pa.table(columns), sink := io.BytesIO())
    answer = httpx.post(ours.url, content=sink.getvalue(), headers={"Content-Type": PARQUET}, timeout=300)
    labels = pq.read_table(io.BytesIO(answer.content))["prediction"].to_numpy()
    assert len(labels) == number
    assert (labels == 2).all()


def _peak(process: psutil.Process) -> int:
    status = Path("/proc", str(process.pid), "status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def start_from_cache(ours: Server) -> float:
    """Start another service from the same copies on disk; return the seconds until its first answer."""
    port = free_ports(1)[0]
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "serving"], env={**ours.environment, "SERVING_PORT": str(port)},
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}/predict"
        until(partial(_answers, url, ours.bodies[0]), "an answer from the disk cache")
        seconds.append(time.perf_counter() - started)
        process.terminate()
        process.wait()
    return statistics.median(seconds)


def _answers(url: str, body: str) -> bool:
    try:
        return httpx.post(url, content=body, headers={"Content-Type": "application/json"}).is_success
    except httpx.TransportError:
        return False


def promotions(ours: Server, versions: list[ModelVersion], log: Callable[[str], object]) -> tuple[Load, Load]:
    """Promote ten times under the load of 16 connections; return the load before and during the promotions."""
    calm = load(ours, 16, PROMOTION_SECONDS)
    history = ours.url.replace("/predict", "/model/history")
    before = len(httpx.get(history).json()["served"])
    promoting = threading.Thread(target=_promote_in_turn, args=(ours, versions))
    promoting.start()
    busy = load(ours, 16, PROMOTION_SECONDS)
    promoting.join()
    swaps = len(httpx.get(history).json()["served"]) - before
    log(f"{swaps} swaps during the load")
    return calm, busy


def _promote_in_turn(ours: Server, versions: list[ModelVersion]) -> None:
    for number in range(1, PROMOTIONS + 1):
        promote(version := versions[number % len(versions)])
        until(partial(_serves, ours, version.version), f"version {version.version} to serve")


def _serves(ours: Server, version: str) -> bool:
    answer = httpx.post(ours.url, content=ours.bodies[0], headers={"Content-Type": "application/json"}, timeout=30)
    return bool(answer.json()["model_version"] == version)

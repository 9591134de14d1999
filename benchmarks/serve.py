"""Serving: our service as shipped against other servers, on the same model and rows.

    python -m benchmarks.serve [--rounds 3] [--seconds 5]

Every service has one worker. wrk sends requests to each in turn, over 1, 16 and 64 connections, and checks every
answer. BentoML and LitServe are installed into a temporary environment. Services with the same ONNX file are marked:
they differ from ours only in the code around the model.

`ours, /invocations` is asked with MLflow's scoring protocol, by the same requests as MLflow's own server. Those with
the prediction log write it into a folder that nobody empties; in the shadow is the second version.

The last line gives the ratios at 16 connections; a ratio is the median of the rounds. `vs_best_peer` is against the
fastest of MLflow, BentoML, LitServe and plain FastAPI + sklearn, with any engine; FastAPI written by hand around the
same ONNX file is in the table only.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import mlflow
import numpy as np
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from rich.console import Console
from rich.table import Table

from benchmarks import serve_extras
from benchmarks.serve_peers import (
    CONSTANT,
    HAND_WRITTEN,
    ISOLATED,
    LOGGED,
    MLFLOW,
    OURS,
    OWN,
    PLAIN,
    RAW,
    SCORING,
    SHADOWED,
    SHARED,
    Penguin,
    Server,
    isolated_python,
    peers,
    running,
    save_onnx_flavor,
    with_log,
)
from benchmarks.serve_stack import trained_stack
from benchmarks.serve_wrk import Load, load
from local.waiting import until
from penguins.data.contract import FEATURE_NAMES
from penguins.training.tracking import registry

CONNECTIONS = (1, 16, 64)
MEASURED = 16

Loads = dict[tuple[str, int], list[Load]]

console = Console(highlight=False, width=140)


def penguins_of_one_class(model: Path, number: int) -> list[Penguin]:
    """Return different penguins that the model labels 2, so that all requests have the same right answer."""
    random = np.random.default_rng(0)
    rows = pd.DataFrame(
        random.normal((47.5, 15.0, 217.0, 5076.0), (2.0, 0.6, 5.0, 300.0), (10 * number, 4)).round(1),
        columns=list(FEATURE_NAMES),
    )
    labels = mlflow.sklearn.load_model(str(model)).predict(rows)
    return [{str(name): value for name, value in row.items()} for row in rows[labels == 2][:number].to_dict("records")]


@contextmanager
def shadowed(
    version: ModelVersion, ours: dict[str, str], model: Path, penguins: list[Penguin], folder: Path
) -> Iterator[Server]:
    """Run our service during the block, with the log, and with a version in the shadow that the others don't see.

    The version in Production is in the cache already, so the only poll finds rows to answer in the shadow.
    """
    peer = with_log(SHADOWED, ours, folder / "shadowed", SERVING_POLL_SECONDS="86400")
    registry().set_registered_model_alias(version.name, "shadow", version.version)
    with running([peer], model, penguins, folder) as (server,):
        status = server.url.replace("/predict", "/model")
        until(lambda: "shadow" in httpx.get(status).json(), "the version to answer in the shadow")
        registry().delete_registered_model_alias(version.name, "shadow")
        yield server


def measure(servers: list[Server], rounds: int, seconds: int) -> Loads:
    """Measure all servers in turn."""
    loads: Loads = {(server.name, number): [] for server in servers for number in CONNECTIONS}
    for server in servers:
        load(server, MEASURED, 1)  # The first requests compile and load; they aren't measured.
    for one in range(rounds):
        for number in CONNECTIONS:
            for server in servers:
                found = load(server, number, seconds)
                loads[server.name, number].append(found)
                console.print(f"{one + 1} {server.name:<26}{number:>3} connections {found.rate:>8.0f}/s")
    return loads


def show(servers: list[Server], loads: Loads) -> None:
    """Print the table: medians over the rounds."""
    columns = ["", "same ONNX", *(f"{kind} {n}" for n in CONNECTIONS for kind in ("req/s", "p50", "p99"))]
    table = Table(*columns, "CPU ms/req", "MB", "ours is", box=None)
    for server in servers:
        cells = []
        for number in CONNECTIONS:
            found = loads[server.name, number]
            medians = [statistics.median(getattr(each, name) for each in found) for name in ("rate", "p50", "p99")]
            cells += [f"{medians[0]:,.0f}", *(f"{value:.2f}" for value in medians[1:])]
        cpu = statistics.median(each.cpu_milliseconds for each in loads[server.name, MEASURED])
        faster = f"{ratio(loads, OURS, server.name):.2f} x"
        table.add_row(
            server.name, "yes" if server.onnx else "", *cells, f"{cpu:.3f}", f"{server.megabytes():.0f}", faster
        )
    console.print(table)


def ratio(loads: Loads, one: str, other: str, field: str = "rate") -> float:
    """Return the median over the rounds of the ratio of two servers' values, at 16 connections."""
    pairs = zip(loads[one, MEASURED], loads[other, MEASURED], strict=True)
    return float(statistics.median(getattr(first, field) / getattr(second, field) for first, second in pairs))


def main() -> None:
    """Start all services on a separate stack, measure, and print a table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured (default 3)")
    parser.add_argument("--seconds", type=int, default=5, help="length of a measurement (default 5)")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is needed to measure: apt install wrk")
    with tempfile.TemporaryDirectory() as name, trained_stack(versions=2) as (stack, versions):
        folder = Path(name)
        model = Path(mlflow.artifacts.download_artifacts(f"models:/{versions[0].name}/{versions[0].version}"))
        save_onnx_flavor(model, folder / "onnx")
        ours = {
            "MLFLOW_TRACKING_URI": stack.urls["mlflow"],
            "SERVING_CACHE_DIR": str(folder / "cache"),
            "SERVING_POLL_SECONDS": "0.5",
            "SERVING_TRUSTED_KEYS": stack.environment["PENGUINS_TRUSTED_KEYS"],
        }
        penguins = penguins_of_one_class(model, 20)
        isolated = isolated_python(folder / "isolated", ISOLATED, SHARED)
        compared = peers(sys.executable, isolated, model, folder / "onnx", ours)
        with (
            running([with_log(LOGGED, ours, folder / "log")], model, penguins, folder) as logged,  # fills the cache
            shadowed(versions[1], ours, model, penguins, folder) as last,
            running(compared, model, penguins, folder) as others,
        ):
            servers = [*others, *logged, last]
            console.print(f"load of the machine before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
            loads = measure(servers, options.rounds, options.seconds)
            show(servers, loads)
            by_name = {server.name: server for server in servers}
            mine, rss = by_name[OURS], by_name[OURS].megabytes()
            seconds, plain = serve_extras.batch(mine, by_name[PLAIN], penguins)
            console.print(f"10,000 penguins as a JSON list: {seconds * 1000:.0f} ms, {PLAIN} {plain * 1000:.0f} ms")
            calm, busy = serve_extras.promotions(mine, versions, console.print)
            console.print(f"p99 {calm.p99:.2f} ms, with ten promotions {busy.p99:.2f} ms; failed {busy.failed}")
            console.print(
                f"from start to first answer, from the disk cache: {serve_extras.start_from_cache(mine):.1f} s"
            )
            took, grown = serve_extras.table(mine, penguins)
            console.print(f"1,000,000 rows as Parquet: {took:.1f} s, peak memory grew by {grown:.0f} MB")
    no_peers = {*OWN, CONSTANT, RAW, HAND_WRITTEN}
    best = min(ratio(loads, OURS, name) for name in by_name if name not in no_peers)
    constant = {name: ratio(loads, name, CONSTANT) for name in (OURS, LOGGED, SHADOWED)}
    print(
        f"vs_mlflow={ratio(loads, OURS, MLFLOW):.1f} scoring_vs_mlflow={ratio(loads, SCORING, MLFLOW):.1f}"
        f" vs_best_peer={best:.2f} vs_constant={constant[OURS]:.2f} log_vs_constant={constant[LOGGED]:.2f}"
        f" shadow_vs_constant={constant[SHADOWED]:.2f} vs_raw={ratio(loads, OURS, RAW):.2f}"
        f" p99_vs_mlflow={ratio(loads, OURS, MLFLOW, 'p99'):.3f}"
        f" p99_vs_constant={ratio(loads, OURS, CONSTANT, 'p99'):.2f}"
        f" rss_mb={rss:.0f} batch_vs_plain={plain / seconds:.1f}"
    )


if __name__ == "__main__":
    main()

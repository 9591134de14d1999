r"""Ingest: our load_raw against pandas.to_sql and psql's \copy of the same file, and its memory as files grow.

    python -m benchmarks.ingest [--rows 1000000] [--rounds 5]

The file holds synthetic penguins (`benchmarks.synthetic`). Each side loads this file into a table of the same
columns in the same PostgreSQL; ours also checks every row, counts the rows and swaps the table. `to_sql` is slow
and is measured once, with all the rows; psql and ours are measured in turn.

The peak memory (VmHWM) is measured in processes that run only load_raw or preprocess, on 10,000 and on 5,000,000
rows.

The last line gives the ratios of the medians, and the ratio of the memory for the large file to that for the small.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
from psycopg import Connection
from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine

from benchmarks import synthetic
from local.postgres import BIN
from local.settings import REPO, Settings
from local.stack import Stack
from penguins.data import ddl
from penguins.data.contract import or_penguins
from penguins.data.ingest import load_raw

FEW, MANY = 10_000, 5_000_000
TASKS = {
    "load_raw": "from penguins.data.ingest import load_raw; load_raw(connection, {source!r}, 0)",
    "preprocess": "from penguins.data.preprocessing import preprocess; preprocess(connection, 0)",
}
TASK = """
import psycopg
with psycopg.connect({database!r}, autocommit=True) as connection:
    {task}
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""

console = Console(highlight=False)


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """Run a separate PostgreSQL with the pipeline's tables during the block; yields its URL."""
    with Stack(Settings.on_free_ports(folder / "state")).running("init-db") as stack:
        yield stack.environment["AIRFLOW_CONN_PENGUINS_DB"]


def seconds(side: Callable[[], object]) -> float:
    """Return the duration of a call."""
    started = time.perf_counter()
    side()
    return time.perf_counter() - started


def to_sql(url: str, source: Path, **options: Any) -> None:
    """Load the file with pandas, as tutorials do."""
    engine = create_engine(url)
    with engine.begin() as connection:
        pd.read_csv(source).to_sql("usual", connection, if_exists="replace", index=False, **options)
    engine.dispose()


def psql_copy(url: str, source: Path) -> None:
    r"""Run \copy of psql into an empty table."""
    command = f"\\copy plain from '{source}' (format csv, header)"
    subprocess.run([BIN / "psql", "--no-psqlrc", "--quiet", f"--command={command}", url], check=True)


def empty_table(connection: Connection[tuple[object, ...]]) -> None:
    """Create the table for psql: that of load_raw, without the row number, which the file doesn't have."""
    connection.execute("DROP TABLE IF EXISTS plain")
    ddl.create_staging(connection, or_penguins(None), "raw", "plain")
    connection.execute("ALTER TABLE plain DROP COLUMN source_row")


def measure(url: str, source: Path, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every side."""
    sides: dict[str, list[float]] = {"load_raw": [], "psql \\copy": []}
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(rounds):
            empty_table(connection)
            sides["psql \\copy"].append(seconds(lambda: psql_copy(url, source)))
            sides["load_raw"].append(seconds(lambda: load_raw(connection, str(source), 0)))
    sides['to_sql(method="multi", chunksize=1000)'] = [
        seconds(lambda: to_sql(url, source, method="multi", chunksize=1000))
    ]
    sides["to_sql"] = [seconds(lambda: to_sql(url, source))]
    return sides


def peak_megabytes(url: str, task: str, source: Path) -> float:
    """Return the peak resident memory of a process that runs one task."""
    code = TASK.format(database=url, task=TASKS[task].format(source=str(source)))
    environment = os.environ | {"PYTHONPATH": f"{REPO / 'plugins'}:{REPO}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    return int(done.stdout) / 1024


def memory(url: str, folder: Path) -> dict[str, dict[int, float]]:
    """Return the peak megabytes of every task on few and on many rows."""
    found: dict[str, dict[int, float]] = {task: {} for task in TASKS}
    for rows in (FEW, MANY):
        source = folder / f"{rows}.csv"
        synthetic.write(source, rows)
        for task in TASKS:
            found[task][rows] = peak_megabytes(url, task, source)
        source.unlink()
    return found


def main() -> None:
    """Start a database, measure on it, and print the tables and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the file (default 1,000,000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of psql and load_raw (default 5)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, database(Path(name)) as url:
        source = Path(name, "penguins.csv")
        synthetic.write(source, options.rows)
        console.print(f"load of the machine before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
        taken = measure(url, source, options.rounds)
        ours, copy, multi, usual = (statistics.median(values) for values in taken.values())
        table = Table("", "median s", "ours is", "all, s", box=None, title=f"{options.rows:,} rows of CSV to a table")
        for side, values in taken.items():
            median = statistics.median(values)
            faster = f"{median / ours:.2f} x faster"
            table.add_row(side, f"{median:.2f}", faster, " ".join(f"{value:.2f}" for value in values))
        console.print(table)
        peaks = memory(url, Path(name))
    table = Table("peak memory, MB", f"{FEW:,} rows", f"{MANY:,} rows", "growth", box=None)
    for task, peak in peaks.items():
        table.add_row(task, f"{peak[FEW]:.0f}", f"{peak[MANY]:.0f}", f"{peak[MANY] / peak[FEW]:.2f}")
    console.print(table)
    growth = max(peak[MANY] / peak[FEW] for peak in peaks.values())
    print(
        f"to_sql_over_ours={usual / ours:.1f} multi_over_ours={multi / ours:.1f}"
        f" ours_over_psql_copy={ours / copy:.2f} memory_growth={growth:.2f}"
    )


if __name__ == "__main__":
    main()

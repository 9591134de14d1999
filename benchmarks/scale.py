"""Cost by size: the tasks by rows, and grid_train by candidates, with slopes and a plot.

    python -m benchmarks.scale [--most-rows 5000000] [--most-candidates 1000]

The slope is the exponent of growth between the two largest sizes. A slope of 1 means cost in proportion to the work;
a smaller slope means that fixed costs still matter. The plot goes to docs/images/scaling.png.
"""

import argparse
import math
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, NullFormatter
from rich.console import Console
from rich.table import Table

from benchmarks import synthetic
from benchmarks.ingest import seconds
from benchmarks.own_stack import connect, load_penguins, own_stack
from local.settings import REPO
from penguins.data.dataset import Dataset, read_processed, split
from penguins.data.ingest import load_raw
from penguins.data.preprocessing import preprocess
from penguins.training.estimators import Grid
from penguins.training.training import grid_train, open_run

ROWS = (1_000, 10_000, 100_000, 1_000_000, 5_000_000)
CANDIDATES = (24, 100, 320, 1_000)
FOLDS = 5
PLOT = REPO / "docs" / "images" / "scaling.png"

Costs = dict[str, dict[int, float]]

console = Console(highlight=False)


def over_rows(folder: Path, most: int) -> Costs:
    """Return the seconds of each step of the tasks, by rows."""
    costs: Costs = {}
    source = folder / "penguins.csv"
    for rows in (number for number in ROWS if number <= most):
        synthetic.write(source, rows)
        with connect() as connection:
            steps: dict[str, Callable[[], object]] = {
                "load_raw": lambda: load_raw(connection, str(source), 0),
                "preprocess": lambda: preprocess(connection, 0),
                "read and split": lambda: split(read_processed(connection), 0.2, 42),
            }
            for name, step in steps.items():
                costs.setdefault(name, {})[rows] = seconds(step)
                console.print(f"{name:<16}{rows:>10,} rows {costs[name][rows]:>8.2f} s")
    return costs


def over_candidates(most: int) -> Costs:
    """Return the seconds of grid_train by candidates: the real penguins, 5 folds, everything logged."""
    data = load_penguins()
    train(data, 24, "warm")  # a first call, so that imports and setup aren't measured
    costs: Costs = {"grid_train": {}}
    for number in (number for number in CANDIDATES if number <= most):
        costs["grid_train"][number] = seconds(partial(train, data, number, f"grid_of_{number}"))
        console.print(f"grid_train {number:>6,} candidates {costs['grid_train'][number]:>8.1f} s")
    return costs


def train(data: Dataset, candidates: int, name: str) -> None:
    """Train that many candidates: forests of 10, 20, 30 and 40 trees for every depth."""
    grid: Grid = {"n_estimators": [10, 20, 30, 40], "max_depth": list(range(1, candidates // 4 + 1))}
    grid_train(data, grid, FOLDS, open_run(data, grid, FOLDS, name))


def slope(cost: dict[int, float]) -> float:
    """Return the exponent of growth between the two largest sizes."""
    (one, cheap), (other, dear) = sorted(cost.items())[-2:]
    return math.log(dear / cheap) / math.log(other / one)


def show(unit: str, costs: Costs) -> None:
    """Print a table of the costs."""
    sizes = list(next(iter(costs.values())))
    table = Table(f"seconds by {unit}", *(f"{size:,}" for size in sizes), "slope", box=None)
    for name, cost in costs.items():
        table.add_row(name, *(f"{cost[size]:.2f}" for size in sizes), f"{slope(cost):.2f}")
    console.print(table)


def plot(by: dict[str, Costs]) -> Figure:
    """Draw the costs, both axes logarithmic."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, (unit, costs) in zip(figure.subplots(1, len(by)), by.items(), strict=True):
        for name, cost in costs.items():
            axes.loglog(list(cost), list(cost.values()), marker="o", label=f"{name} (slope {slope(cost):.2f})")
        sizes = list(next(iter(costs.values())))
        axes.set_xticks(sizes, [EngFormatter(sep="")(size) for size in sizes])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel=unit, ylabel="seconds")
        axes.grid(alpha=0.3, which="both")
        axes.legend()
    return figure


def main() -> None:
    """Start a stack of its own, measure on it, print the tables and save the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most-rows", type=int, default=ROWS[-1], help="largest file")
    parser.add_argument("--most-candidates", type=int, default=CANDIDATES[-1], help="largest grid")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, own_stack(PENGUINS_EXPERIMENT="scale"):
        console.print(f"load of the machine before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
        by = {
            "rows": over_rows(Path(folder), options.most_rows),
            "candidates": over_candidates(options.most_candidates),
        }
    for unit, costs in by.items():
        show(unit, costs)
    plot(by).savefig(PLOT, dpi=110)
    slopes = " ".join(
        f"{name.replace(' ', '_')}={slope(cost):.2f}" for costs in by.values() for name, cost in costs.items()
    )
    print(f"slopes: {slopes}")


if __name__ == "__main__":
    main()

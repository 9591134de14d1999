"""Training: our grid_train against the usual loop, and against GridSearchCV, on a real MLflow and S3.

    python -m benchmarks.train [--rounds 3]

Two comparisons, each with the same 24 candidates of the default grid:

- the loop that MLflow's tutorials show (fit, log_params, log_metric, `log_model` with
  `registered_model_name` only) against grid_train, both on a single split. The detection of uv
  is off, as in a project without a uv.lock: otherwise MLflow gets a model's requirements from uv, faster than
  from a new Python process;
- `GridSearchCV(n_jobs=-1)` with 5 folds and without logging, against grid_train with 5 folds and everything
  logged.

The last line gives the ratios of the medians.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import mlflow
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, ParameterGrid

from benchmarks.own_stack import load_penguins, own_stack
from penguins.data.dataset import Dataset
from penguins.training.estimators import Grid
from penguins.training.training import grid_train, open_run

GRID: Grid = {"n_estimators": [50, 100, 200], "max_depth": [None, 4, 8, 12], "min_samples_split": [2, 5]}
FOLDS = 5

console = Console(highlight=False)


def naive_loop(data: Dataset) -> None:
    """Train with the loop of MLflow's tutorials, on a single split."""
    mlflow.set_experiment("naive")
    train, holdout = data.features.iloc[data.train], data.features.iloc[data.holdout]
    for params in ParameterGrid(GRID):
        with mlflow.start_run():
            model = RandomForestClassifier(**params, random_state=data.seed)
            model.fit(train, data.labels[data.train])
            mlflow.log_params(params)
            mlflow.log_metric("accuracy", accuracy_score(data.labels[data.holdout], model.predict(holdout)))
            mlflow.sklearn.log_model(
                model,
                name="model",
                registered_model_name="naive",
                skops_trusted_types=["sklearn.tree._tree.Tree"],  # MLflow refuses a forest otherwise
            )


def quietly(side: Callable[[Dataset], None], data: Dataset) -> None:
    """Run one side without the output of MLflow."""
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        side(data)


def grid_search(data: Dataset) -> None:
    """Search with scikit-learn, without logging."""
    search = GridSearchCV(RandomForestClassifier(random_state=data.seed), GRID, cv=FOLDS, n_jobs=-1)
    search.fit(data.features.iloc[data.train], data.labels[data.train])


def ours(data: Dataset, folds: int, name: str) -> None:
    """Run the task grid_train."""
    grid_train(data, GRID, folds, open_run(data, GRID, folds, name))


def measure(rounds: int, data: Dataset) -> dict[str, list[float]]:
    """Return the seconds of every side, measured in turn; the slow loop runs once."""
    sides: dict[str, Callable[[str], object]] = {
        "naive loop, one split": lambda _: quietly(naive_loop, data),
        "grid_train, one split": lambda name: ours(data, 0, name),
        "GridSearchCV, 5 folds, no logging": lambda _: grid_search(data),
        "grid_train, 5 folds": lambda name: ours(data, FOLDS, name),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for index, (name, side) in enumerate(sides.items()):
            if index == 0 and number > 0:
                continue
            started = time.perf_counter()
            side(f"round_{number}_{index}")
            seconds[name].append(time.perf_counter() - started)
            console.print(f"{name:<36}{seconds[name][-1]:7.1f} s")
    return seconds


def main() -> None:
    """Start a separate stack, measure on it, and print a table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of everything but the slow loop (default 3)")
    rounds = parser.parse_args().rounds
    os.environ |= {"MLFLOW_UV_AUTO_DETECT": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with own_stack(PENGUINS_EXPERIMENT="ours"):
        seconds = measure(rounds, load_penguins())
    naive, single_split, search, five_folds = (statistics.median(values) for values in seconds.values())
    table = Table("", "median s", "all, s", box=None)
    for name, values in seconds.items():
        table.add_row(name, f"{statistics.median(values):.1f}", " ".join(f"{value:.1f}" for value in values))
    console.print(table)
    print(f"naive_over_ours={naive / single_split:.1f} ours_over_gridsearch={five_folds / search:.2f}")


if __name__ == "__main__":
    main()

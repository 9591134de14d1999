"""Training on a large table: grid_train with histograms, judged on a sample, against forests on all rows.

    python -m benchmarks.large [--rows 1000000]

Both sides search 24 candidates with 5 folds on the same made-up rows of 10 numbers and 3 classes, and log everything to
a real MLflow, S3 and PostgreSQL. The forests take 20,000 and 50,000 rows a tree, as was recommended for such tables
before there were histograms; a grid with `max_samples` is searched on all rows.

The last line gives the ratio of the seconds of grid_train; the seconds of register_best, which fits the best histograms
again on all rows; and the accuracy on the hold-out of the version that it registers, and of the best forest.
"""

import argparse
import os
import time

import numpy as np
import pandas as pd
from rich.console import Console
from sklearn.datasets import make_classification

from benchmarks.own_stack import connect, own_stack
from contract.schema import Column, DataContract
from contract.training import Training
from penguins.data.dataset import Dataset
from penguins.promotion.registration import register_best
from penguins.training import candidate_records, candidate_runs
from penguins.training.candidate_records import Record
from penguins.training.estimators import FOREST, HISTOGRAMS, Grid
from penguins.training.sampling import SAMPLE_ROWS
from penguins.training.training import grid_train, open_run

FEATURES = 10
FOLDS = 5
FORESTS: Grid = {"n_estimators": [10, 20, 40], "max_depth": [4, 8, 12, 16], "max_samples": [20_000, 50_000]}

console = Console(highlight=False)


def table(rows: int) -> Dataset:
    """Return made-up rows, a fifth of them held out."""
    values, labels = make_classification(
        rows, FEATURES, n_informative=8, n_classes=3, n_clusters_per_class=3, flip_y=0.02, random_state=0
    )
    columns = [Column(name=f"x{number}", type="number") for number in range(FEATURES)]
    target = Column(name="kind", type="string", role="target", categories=("a", "b", "c"))
    training = Training(registered_model="large", experiment="large", min_accuracy=0.5)
    contract = DataContract(name="large", columns=(target, *columns), training=training)
    features = pd.DataFrame(values.astype(np.float32).astype(float), columns=list(contract.feature_names))
    held_out = np.arange(rows) % 5 == 0
    return Dataset(features, labels, np.flatnonzero(~held_out), np.flatnonzero(held_out), "made up", 0, 0.2, contract)


def train(data: Dataset, name: str, grid: Grid | None, sample_rows: int) -> tuple[float, str]:
    """Run grid_train, and return its seconds and the id of the experiment."""
    started = time.perf_counter()
    parent = open_run(data, grid, FOLDS, name, name, connect, sample_rows)
    report = grid_train(data, grid, FOLDS, parent, estimator=name, connect=connect, sample_rows=sample_rows)
    assert report.fitted == 24, report
    seconds = time.perf_counter() - started
    console.print(f"grid_train, {name:<28}{seconds:8.1f} s")
    return seconds, str(parent.info.experiment_id)


def recorded(experiment: str, name: str) -> list[Record]:
    """Return the records of a run."""
    with connect() as connection:
        return candidate_records.read(connection, experiment, name)


def main() -> None:
    """Start a separate stack, measure on it, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    data = table(parser.parse_args().rows)
    with own_stack():
        console.print(f"load of the machine before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
        ours, experiment = train(data, HISTOGRAMS, None, SAMPLE_ROWS)
        started = time.perf_counter()
        with connect() as connection:
            console.print(register_best(connection, data, HISTOGRAMS, expected=24).reason)
        registering = time.perf_counter() - started
        forests, _ = train(data, FOREST, FORESTS, SAMPLE_ROWS)
        registered = max(recorded(experiment, HISTOGRAMS), key=lambda each: candidate_runs.REFIT_OF in each.tags)
        best = candidate_runs.choose_best([each.to_run() for each in recorded(experiment, FOREST)])
    print(
        f"ours_over_forests={ours / forests:.2f} register_best_seconds={registering:.1f} "
        f"accuracy={registered.metrics['holdout_accuracy']:.4f} "
        f"accuracy_of_forests={best.data.metrics['holdout_accuracy']:.4f}"
    )


if __name__ == "__main__":
    main()

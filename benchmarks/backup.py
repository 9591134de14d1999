"""Backup and restore: how long they take, and what a backup costs a training that runs beside it.

    python -m benchmarks.backup [--versions 50] [--rows 100000] [--rounds 6]

A stack of its own gets versions, logged predictions, and as many objects in S3 as if a training of twenty candidates
had made each version. It is backed up, and restored into another place. Then trainings run, in turn alone and beside a
backup. The last line has seconds, and the median of the ratios.
"""

import argparse
import itertools
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from backup.objects import Objects
from benchmarks.commands import command, start
from benchmarks.log_audit import is_empty
from benchmarks.log_backlog import write_backlog
from benchmarks.own_stack import connect, load_penguins
from benchmarks.serve_stack import trained_stack
from local.backups import source_of
from local.settings import Settings
from local.stack import Stack
from local.waiting import until
from penguins.data.dataset import Dataset
from penguins.registry.candidate_versions import LoadedCandidate, find_version, register
from penguins.training import candidate_records, tracking
from penguins.training.training import grid_train, open_run

GRID = {"n_estimators": [50, 100, 150, 200], "max_depth": [2, 4, 8], "min_samples_split": [2, 8]}
"""24 candidates, as many as a run of the DAG has."""
FOLDS = 5
SHIP_SECONDS = 300
IN_A_TRAINING = 20
"""Candidates, each of which becomes a version here; otherwise one of them does."""

console = Console(highlight=False, width=160)


def train(data: Dataset, name: str) -> float:
    """Train and log all candidates; return the seconds that it took."""
    started = time.perf_counter()
    grid_train(data, GRID, FOLDS, open_run(data, GRID, FOLDS, name, connect=connect), connect=connect)
    return time.perf_counter() - started


def register_all(data: Dataset, wanted: int) -> None:
    """Register more candidates of the trainings, until there are so many versions."""
    training = data.contract.training
    experiment, missing = tracking.find_experiment(training.experiment) or "", wanted - trainings(wanted)
    for number in range(trainings(wanted)):
        with connect() as connection:
            records = candidate_records.read(connection, experiment, f"made_{number}")
        for record in records:
            candidate = LoadedCandidate.load(record.to_run(), training.registered_model)
            if missing and not find_version(candidate, training.registered_model):
                register(candidate, data)
                missing -= 1


def trainings(versions: int) -> int:
    """Return how many trainings have candidates for so many versions."""
    return -(-versions // IN_A_TRAINING)


def copy_objects(stack: Stack, folder: Path, wanted: int) -> None:
    """Add copies of the objects in S3, until there are so many."""
    objects = Objects(source_of(stack.config).bucket)
    keys, files = objects.keys(), dict[str, Path]()
    for number, (key, _, file) in enumerate(objects.fetch(keys, folder)):
        files[key] = folder / str(number)
        with files[key].open("wb") as copy:
            shutil.copyfileobj(file, copy)
    names = ((f"copies/{number}/{key}", files[key]) for number in itertools.count() for key in keys)
    for _ in objects.upload(itertools.islice(names, max(0, wanted - len(keys)))):
        pass


def prepare(stack: Stack, data: Dataset, folder: Path, versions: int, rows: int) -> None:
    """Fill a stack whose trainings are done."""
    objects = len(Objects(source_of(stack.config).bucket).keys()) * versions // trainings(versions)
    register_all(data, versions)
    copy_objects(stack, folder, objects)
    write_backlog(stack.config.layout.prediction_log, rows)
    stack.start("shipper")
    until(lambda: is_empty(stack.config.layout.prediction_log), "the predictions to arrive", SHIP_SECONDS)
    console.print(f"{versions} versions, {objects:,} objects and {rows:,} logged predictions are there")


@contextmanager
def backing_up(stack: Stack, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Make a backup during the block, and wait for its end."""
    with start(stack.config.settings, "backup", "--to", str(folder)) as process:
        assert process.stdout
        process.stdout.readline()  # of the first part
        yield process
        process.communicate()
    if process.returncode != 0:
        sys.exit("the backup failed")


def compare(stack: Stack, data: Dataset, folder: Path, number: int) -> float:
    """Train alone and beside a backup, and return the ratio of the times."""
    seconds = dict[bool, float]()
    for beside in (True, False) if number % 2 else (False, True):
        name = f"round_{number}_{beside}"
        if beside:
            with backing_up(stack, folder / name) as process:
                seconds[beside] = train(data, name)
                outlasted = process.poll() is None
        else:
            seconds[beside] = train(data, name)
    end = "after" if outlasted else "before"
    console.print(
        f"{number + 1} training {seconds[False]:.1f} s, beside a backup, which ended {end} it, {seconds[True]:.1f} s"
    )
    return seconds[True] / seconds[False]


def times(stack: Stack, folder: Path) -> tuple[float, float]:
    """Return the seconds of a backup and of its restore."""
    started = time.perf_counter()
    command(stack.config.settings, "backup", "--to", str(folder), "--keys")
    backed_up = time.perf_counter()
    (archive,) = folder.iterdir()
    command(Settings.on_free_ports(folder / "restored"), "restore", "--from", str(archive))
    restored = time.perf_counter()
    console.print(
        f"backed up in {backed_up - started:.1f} s, {archive.stat().st_size / 1e6:,.1f} MB; "
        f"restored in {restored - backed_up:.1f} s"
    )
    shutil.rmtree(folder)
    return backed_up - started, restored - backed_up


def main() -> None:
    """Measure on a separate stack, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", type=int, default=50, help="registered versions, default: %(default)s")
    parser.add_argument("--rows", type=int, default=100_000, help="logged predictions, default: %(default)s")
    parser.add_argument(
        "--rounds", type=int, default=6, help="of trainings alone and beside a backup, default: %(default)s"
    )
    arguments = parser.parse_args()
    with trained_stack(trainings(arguments.versions)) as (stack, _), tempfile.TemporaryDirectory() as name:
        folder, data = Path(name), load_penguins()
        (folder / "objects").mkdir()
        prepare(stack, data, folder / "objects", arguments.versions, arguments.rows)
        backup_seconds, restore_seconds = times(stack, folder / "last")
        train(data, "warm")
        ratios = [compare(stack, data, folder, number) for number in range(arguments.rounds)]
    beside = ""
    if ratios:
        low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
        console.print(f"a training beside a backup takes {middle:.2f} x its time ({low:.2f} to {high:.2f})")
        beside = f" beside_over_alone={middle:.3f}"
    console.print(f"backup_seconds={backup_seconds:.1f} restore_seconds={restore_seconds:.1f}{beside}")


if __name__ == "__main__":
    main()

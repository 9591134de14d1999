"""Seconds from a file that the stack has never seen to an answer from Production, for three tables.

    python -m benchmarks.contract [--rows 1000]

Each table is a CSV as pandas writes it. Two commands lead to the answer, as in docs/how-to/your-table.md:
`make contract FROM=… TARGET=…` and `make run CONTRACT=…`, on a stack that is up. Nothing is edited between them, and
the candidates are those of the default grid. The tables are scikit-learn's wine (13 numbers, 3 classes) and breast
cancer (30 numbers, 2 classes), and one of the penguins with categories, a boolean and missing values; rows are drawn
from them with small changes, so that few are copies.
"""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from palmerpenguins import load_penguins
from rich.console import Console
from sklearn.datasets import load_breast_cancer, load_wine

from local.settings import REPO, Settings
from local.stack import Stack

TARGETS: Final = {"wine": "class", "breast_cancer": "class", "mixed": "species"}
LIMIT: Final = 90  # seconds

console = Console(highlight=False)


def tables(rows: int) -> dict[str, pd.DataFrame]:
    """Return the tables by their names."""
    found = {"mixed": load_penguins().assign(heavy=lambda table: table["body_mass_g"] > 4000)}
    for name, load in (("wine", load_wine), ("breast_cancer", load_breast_cancer)):
        data = load(as_frame=True)
        found[name] = data.data.assign(**{"class": [str(data.target_names[label]) for label in data.target]})
    return {name: drawn(found[name], rows) for name in TARGETS}


def drawn(table: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Draw rows with replacement, and add noise of a hundredth of the standard deviation to their numbers."""
    random = np.random.default_rng(0)
    sample = table.iloc[random.integers(0, len(table), rows)].reset_index(drop=True)
    for name in sample.select_dtypes("float"):
        sample[name] += random.normal(0, 0.01 * table[name].std(), rows)
    return sample


def seconds_of(name: str, source: Path, variables: dict[str, str]) -> float:
    """Run the two commands and return the seconds that they took."""
    started = time.monotonic()
    for words in (["contract", f"FROM={source}", f"TARGET={TARGETS[name]}"], ["run", f"CONTRACT={name}"]):
        command = ["make", "--no-print-directory", *words]
        done = subprocess.run(command, env=variables, cwd=REPO, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"make {' '.join(words)}\n{done.stdout}{done.stderr}")
    console.print(done.stdout, markup=False)
    return time.monotonic() - started


def main() -> None:
    """Start a stack, measure each table, and print the seconds in one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000)
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        contracts = Path(folder, "contracts")
        contracts.mkdir()
        (contracts / "penguins.yaml").write_bytes((REPO / "contracts" / "penguins.yaml").read_bytes())
        os.environ["PENGUINS_CONTRACTS_DIR"] = str(contracts)
        settings = Settings.on_free_ports(Path(folder, "state"))
        ports = {name: str(port) for name, port in settings.ports.items()}
        variables = os.environ | ports | {"PENGUINS_STATE_DIR": str(settings.state_dir)}
        with Stack(settings).running():
            console.print(f"load of the machine before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
            taken = {}
            for name, table in tables(options.rows).items():
                source = Path(folder, f"{name}.csv")
                table.to_csv(source)
                taken[name] = seconds_of(name, source, variables)
    console.print(" ".join(f"seconds_{name}={seconds:.1f}" for name, seconds in taken.items()))


if __name__ == "__main__":
    main()

"""Seconds from a file that the stack has never seen to an answer from Production, for three tables.

    python -m benchmarks.contract [--rows 1000]

Each table is a CSV as pandas writes it. Two commands lead to the answer, as in docs/how-to/your-table.md:
`make contract FROM=… TARGET=…` and `make run CONTRACT=…`, on a stack that is up. Nothing is edited between them, and
the candidates are those of the default grid. The tables are those of examples/contracts; rows are drawn from them with
small changes, so that few are copies.
"""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from examples.contracts import tables
from local.settings import REPO, Settings
from local.stack import Stack

console = Console(highlight=False)


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
    for words in (["contract", f"FROM={source}", f"TARGET={tables.TARGETS[name]}"], ["run", f"CONTRACT={name}"]):
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
            for name, source in tables.write(Path(folder)).items():
                drawn(pd.read_csv(source), options.rows).to_csv(source)
                taken[name.removeprefix("penguins_")] = seconds_of(name, source, variables)
    console.print(" ".join(f"seconds_{name}={seconds:.1f}" for name, seconds in taken.items()))


if __name__ == "__main__":
    main()

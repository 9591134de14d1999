"""The duration of the whole test suite, compared with that of another commit.

    python -m benchmarks.suite [--against d82a8fc] [--rounds 1]

Each side is a fresh clone with its own environment; the tests of pages in a browser run as well. The last line gives
the seconds of both sides, the minimum over the rounds, and the ratio of ours to the other.
"""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

from rich.console import Console

from local.settings import REPO

FIRST_STAGE = "d82a8fc"

console = Console(highlight=False)


def clone(commit: str, folder: Path) -> None:
    """Check out the commit and install its test environment; both aren't measured."""
    subprocess.run(["git", "clone", "--quiet", str(REPO), str(folder)], check=True)
    subprocess.run(["git", "-C", str(folder), "checkout", "--quiet", commit], check=True)
    subprocess.run(["make", "setup"], cwd=folder, check=True, capture_output=True)
    test(folder, "--collect-only", "-q")


def test(folder: Path, *arguments: str) -> float:
    """Run the suite of a clone and return its seconds. Raises CalledProcessError if a test failed."""
    options = " ".join(["-m ''", *arguments])
    started = time.monotonic()
    done = subprocess.run(
        ["make", "test"], cwd=folder, env=os.environ | {"PYTEST_ADDOPTS": options}, capture_output=True, text=True
    )
    seconds = time.monotonic() - started
    console.print(done.stdout.splitlines()[-1], markup=False)
    done.check_returncode()
    return seconds


def main() -> None:
    """Measure both sides in turn."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.suite", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--against", default=FIRST_STAGE, help="the other commit")
    parser.add_argument("--rounds", type=int, default=1, help="runs of each side")
    arguments = parser.parse_args()
    head = subprocess.run(["git", "-C", str(REPO), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    with tempfile.TemporaryDirectory(prefix="penguins-suite-") as folder:
        sides = {"against": arguments.against, "ours": head.stdout.strip()}
        for name, commit in sides.items():
            clone(commit, Path(folder, name))
        rounds = [{name: test(Path(folder, name)) for name in sides} for _ in range(arguments.rounds)]
    seconds = {name: min(each[name] for each in rounds) for name in sides}
    ratio = seconds["ours"] / seconds["against"]
    console.print(f"ours={seconds['ours']:.0f} against={seconds['against']:.0f} ours_over_against={ratio:.2f}")


if __name__ == "__main__":
    main()

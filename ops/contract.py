"""`make compose-contract`: draft a contract from a table that the containers reach."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ops import dotenv
from ops.env import REPO

_NAME = re.compile(r"^id: ([a-z][a-z0-9_]*)$", re.MULTILINE)


def main(env_file: Path, options: Sequence[str]) -> int:
    """Write the drafted contract into the folder of contracts, and return the exit status.

    The containers see this folder read-only. Errors of the draft are printed by the container.
    """
    columns = os.environ.get("COLUMNS", "160")
    inside = (
        "exec",
        "--no-TTY",
        "--env",
        f"COLUMNS={columns}",
        "airflow-scheduler",
        "python",
        "-m",
        "penguins.contracts",
    )
    command = ("docker", "compose", "--env-file", str(env_file.resolve()), *inside, "draft", "--stdout", *options)
    try:
        folder = contracts_folder(dotenv.parse(env_file.read_text()))
        done = subprocess.run(command, cwd=REPO, stdout=subprocess.PIPE, text=True)
        if done.returncode == 0:
            write(folder, done.stdout)
        return done.returncode
    except OSError as error:
        print(error, file=sys.stderr)
        return 1


def contracts_folder(variables: dict[str, str]) -> Path:
    """Return the folder of contracts that the containers see."""
    return REPO / (variables.get("PENGUINS_CONTRACTS_DIR") or "contracts")


def write(folder: Path, text: str) -> None:
    """Write a drafted contract into its file, and say how to go on."""
    found = _NAME.search(text)
    if found is None:
        raise OSError("the containers drafted a contract without an id")
    path = folder / f"{found[1]}.yaml"
    temporary = folder / f".{path.name}.draft"
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    print(f"Wrote {path}: each guess has a comment there. Next: make compose-run CONTRACT={found[1]}")

"""The names that a contract gives, for what drives the pipeline from outside."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import environment
from local.config import Config
from local.errors import StackError

DEFAULT = "penguins"
"""Name of the contract where none is chosen; its model is the first one that the service serves."""

_FIRST_MODEL = "penguins_rf"


@dataclass(frozen=True)
class Contract:
    """A contract as `python -m penguins.contracts show` prints it.

    Attributes:
        dag, scoring_dag, experiment, model: names in Airflow and MLflow.
        example: a row to predict.
    """

    name: str
    dag: str
    scoring_dag: str
    experiment: str
    model: str
    example: dict[str, Any]


def read_contract(config: Config, name: str) -> Contract:
    """Read a contract with the settings of the stack.

    Raises:
        StackError: there is none of this name, or it has mistakes.
    """
    command = [sys.executable, "-m", "penguins.contracts", "show", name]
    variables = environment.inherited(config) | environment.airflow(config)
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    if done.returncode != 0:
        raise StackError(done.stderr.strip())
    return Contract(**json.loads(done.stdout))


def served_models(config: Config) -> list[str]:
    """Return the registered models that the prediction service serves, its first one at the beginning."""
    path = config.layout.serving_models
    others = path.read_text().split("\n") if path.exists() else []
    return list(dict.fromkeys(filter(None, [_FIRST_MODEL, *others])))


def serve(config: Config, model: str) -> None:
    """Add a registered model to those that the prediction service serves. It reads the file when that changes."""
    path = config.layout.serving_models
    with _alone(path.parent):
        models = served_models(config)
        if model not in models:
            new = path.with_suffix(".new")
            new.write_text("\n".join([*models, model]) + "\n")
            new.replace(path)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other command changes a file in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

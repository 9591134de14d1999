"""A command of `python -m penguins` imports MLflow and scikit-learn, which take seconds, only if it needs them."""

import os
import subprocess
import sys

from local.environment import library
from local.settings import REPO

# Modules of `make predictions`, `make verdicts`, `make labels` and `make check` without a stack.
MODULES = ("penguins.__main__", "penguins.monitoring.labels_command", "penguins.source_check")


def test_commands_without_versions_import_neither_mlflow_nor_scikit_learn() -> None:
    code = f"import sys, {', '.join(MODULES)}; print(*({{'mlflow', 'sklearn'}} & set(sys.modules)))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=REPO, env=os.environ | library(), capture_output=True, text=True, check=True)
    assert done.stdout.split() == []

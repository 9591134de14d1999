"""Airflow's LocalExecutor, whose tasks find the libraries imported that most of their start would go into.

A task is a fork of a worker, and a worker one of the scheduler. So the scheduler imports them: once for all tasks, when
the first one comes, and not while nothing is to do. None of our own modules is among them, so that the next task runs
the code as it then is.
"""

import importlib
from typing import Final

from airflow.executors import local_executor

LIBRARIES: Final = (
    "airflow.dag_processing.dagbag",
    "airflow.providers.postgres.hooks.postgres",
    "airflow.providers.standard.decorators.python",
    "airflow.providers.standard.operators.hitl",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "matplotlib.backends.backend_agg",
    "matplotlib.pyplot",
    "mlflow.sklearn",
    "onnxruntime",
    "palmerpenguins",
    "pandas",
    "psycopg.types.json",
    "pyarrow.csv",
    "pyarrow.parquet",
    "pydantic_settings",
    "scipy.stats",
    "skl2onnx",
    "sklearn.compose",
    "sklearn.ensemble",
    "sklearn.impute",
    "sklearn.inspection",
    "sklearn.linear_model",
    "yaml",
)


class LocalExecutor(local_executor.LocalExecutor):
    """LocalExecutor that starts its workers at the first task, after importing `LIBRARIES`."""

    def start(self) -> None:
        """Start without workers."""
        forks, self.is_mp_using_fork = self.is_mp_using_fork, False
        super().start()
        self.is_mp_using_fork = forks

    def _spawn_workers_with_gc_freeze(self, spawn_number: int) -> None:
        for name in LIBRARIES:
            importlib.import_module(name)
        super()._spawn_workers_with_gc_freeze(spawn_number)  # type: ignore[no-untyped-call]

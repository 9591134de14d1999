"""Airflow's LocalExecutor, whose tasks find their libraries imported.

The scheduler imports them: once for all tasks, when the first one comes, and not while nothing is to do.
"""

import importlib
from multiprocessing.connection import wait
from typing import Final

from airflow.executors import local_executor

WAIT_SECONDS: Final = 0.7
"""Longest wait for a report in each turn of the scheduler: 0.02 s of processor, followed by 0.3 s of sleep."""


class LocalExecutor(local_executor.LocalExecutor):
    """LocalExecutor that starts its workers at the first task, after importing `libraries`."""

    def start(self) -> None:
        """Start without workers."""
        forks, self.is_mp_using_fork = self.is_mp_using_fork, False
        super().start()
        self.is_mp_using_fork = forks

    def _spawn_workers_with_gc_freeze(self, spawn_number: int) -> None:
        importlib.import_module("penguins.airflow.libraries")
        super()._spawn_workers_with_gc_freeze(spawn_number)  # type: ignore[no-untyped-call]

    def sync(self) -> None:
        """Read what tasks have reported; wait for it, so that the next task follows at once on an end."""
        wait([self.result_queue._reader], WAIT_SECONDS)  # type: ignore[attr-defined]
        super().sync()

"""Run Airflow's command with the arguments of this process.

A seventh of a start would go into looking for garbage among what is imported, and stays. The end would take seconds for
the same: 3.6 s of processor of an API server, 2.2 s of a scheduler.
"""

import atexit
import gc
import sys
from importlib import import_module
from typing import Final

gc.set_threshold(10_000, 10, 10)
atexit.register(gc.freeze)

LIBRARIES: Final = (
    "airflow.providers.standard.decorators.python",
    "airflow.providers.standard.decorators.short_circuit",
    "airflow.providers.standard.operators.hitl",
    "airflow.sdk.bases.sensor",
    "airflow.sdk.definitions.retry_policy",
    "numpy",
    "pydantic_settings",
)
"""Libraries of the DAG files. Each parse is a fork of the DAG processor, and two thirds of it would go into them.

None of our own modules is among them, so that the next parse runs the code as it then is.
"""


def main() -> None:
    """Run the command; the DAG processor has the libraries imported before its first fork."""
    from airflow import __main__ as airflow

    if sys.argv[1:2] == ["dag-processor"]:
        for name in LIBRARIES:
            import_module(name)
    airflow.main()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()

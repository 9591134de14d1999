"""Migrate Airflow's database and create the administrator. Safe to run again.

Runs Airflow's own commands in one process, because the import of Airflow takes most of the time of each.
"""

import atexit
import gc
import os
from collections.abc import Iterable

from airflow.cli.cli_parser import get_parser

# Seconds would go into looking for garbage among what is imported, and stays.
gc.set_threshold(10_000, 10, 10)
atexit.register(gc.freeze)

USER = "admin"


def commands(password: str) -> Iterable[list[str]]:
    """Yield Airflow's commands; the last one applies a password changed in the environment."""
    yield ["db", "migrate"]
    person = ["--firstname", "Penguins", "--lastname", "Administrator", "--email", "admin@example.com"]
    yield ["users", "create", "--username", USER, "--role", "Admin", "--password", password, *person]
    yield ["users", "reset-password", "--username", USER, "--password", password]


def main() -> None:
    """Run the commands in order. Raises SystemExit if one fails."""
    parser = get_parser()
    for command in commands(os.environ["AIRFLOW_PASSWORD"]):
        arguments = parser.parse_args(command)
        arguments.func(arguments)


if __name__ == "__main__":
    main()

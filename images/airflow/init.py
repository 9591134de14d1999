"""Bring Airflow's database up to date and make sure that the administrator can log in. Safe to run again.

Runs Airflow's own commands, in one process: importing Airflow is most of what each of them costs.
"""

import os
from collections.abc import Iterable

from airflow.cli.cli_parser import get_parser

USER = "admin"


def commands(password: str) -> Iterable[list[str]]:
    """Airflow's commands; the last one applies a password that was changed in the environment."""
    yield ["db", "migrate"]
    person = ["--firstname", "Penguins", "--lastname", "Administrator", "--email", "admin@example.com"]
    yield ["users", "create", "--username", USER, "--role", "Admin", "--password", password, *person]
    yield ["users", "reset-password", "--username", USER, "--password", password]


def main() -> None:
    """Run them in order. Raises SystemExit when one fails."""
    parser = get_parser()
    for command in commands(os.environ["AIRFLOW_PASSWORD"]):
        arguments = parser.parse_args(command)
        arguments.func(arguments)


if __name__ == "__main__":
    main()

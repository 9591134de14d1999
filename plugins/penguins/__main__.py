"""`python -m penguins`: versions, promotion, rollback, signatures, predictions, truth, drift, verdicts, sources, room.

`make models`, `make promote`, `make rollback`, `make sign`, `make predictions`, `make labels`, `make drift`,
`make verdicts`, `make check` and `make housekeeping` call it with the environment of the embedded stack. The same
targets with the prefix `compose-` call it in a container of Airflow.
"""

import argparse
import atexit
import gc
import logging
import sys
from contextlib import ExitStack, nullcontext
from typing import Any

from psycopg import Connection, OperationalError
from rich.console import Console

from penguins import contracts
from penguins.commands import run_command
from penguins.connection import connect
from penguins.data.table_source import is_table
from penguins.errors import UserError
from penguins.monitoring import command as prediction_log
from penguins.monitoring import verdicts_command

out = Console(markup=False, emoji=False, highlight=False)


def main() -> int:
    """Run one command. After an error, print one line and return 1."""
    arguments = _parser().parse_args()
    return run_command(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> None:
    if arguments.command is housekeeping:
        housekeeping(arguments)
        return
    contract = arguments.contract or contracts.DEFAULT
    arguments.model = arguments.model or contracts.find(contract).training.registered_model
    if arguments.command in (check, labels):
        arguments.command(arguments)
        return
    with connect() as connection:
        arguments.command(connection, arguments)


def models(connection: Connection[Any], arguments: argparse.Namespace) -> None:
    """Show the versions and the last decisions."""
    from penguins import version_commands  # imports MLflow, which takes seconds

    version_commands.models(connection, out, arguments)


def promote(connection: Connection[Any], arguments: argparse.Namespace) -> None:
    """Put a version in Production."""
    from penguins import version_commands

    version_commands.promote(connection, out, arguments)


def rollback(connection: Connection[Any], arguments: argparse.Namespace) -> None:
    """Put the version before in Production again."""
    from penguins import version_commands

    version_commands.rollback(connection, out, arguments)


def sign(connection: Connection[Any], arguments: argparse.Namespace) -> None:
    """Sign a version that isn't, after a look at its files and its origin."""
    from penguins import version_commands

    version_commands.sign(connection, out, arguments)


def predictions(connection: Connection[Any], arguments: argparse.Namespace) -> None:
    """Show the latest predictions, or one with its lineage."""
    prediction_log.show(connection, out, arguments.contract or contracts.DEFAULT, arguments)


def drift(connection: Connection[Any], arguments: argparse.Namespace) -> None:
    """Judge whether predictions of some time still look like the training rows."""
    from penguins.monitoring import drift_command  # imports scikit-learn, which takes seconds

    drift_command.show(connection, out, arguments)


def verdicts(connection: Connection[Any], arguments: argparse.Namespace) -> None:
    """Show the latest verdicts on the model at work, and the alarms."""
    verdicts_command.show(connection, out, contracts.find(arguments.contract or contracts.DEFAULT), arguments)


def check(arguments: argparse.Namespace) -> None:
    """Show whether a file could be trained on, and how it differs from what Production was trained on."""
    from penguins import source_check  # imports scikit-learn, which takes seconds

    logging.disable(logging.NOTSET)  # the log names the columns that are ignored
    contract = contracts.find(arguments.contract or contracts.DEFAULT)
    model = None if arguments.offline else arguments.model
    source = arguments.source or contract.training.source
    with connect() if is_table(source) and not arguments.offline else nullcontext() as connection:
        source_check.run(out, contract, source, model, connection)


def labels(arguments: argparse.Namespace) -> None:
    """Send the true classes in a file to the service, for the prediction log, or list those without a prediction."""
    from penguins.monitoring import labels_command  # imports pyarrow, which other commands don't need

    logging.disable(logging.NOTSET)  # the log names the columns that are ignored
    if arguments.missing:
        with connect() as database:
            labels_command.show_missing(out, arguments.model, database)
        return
    if not arguments.source:
        raise UserError("Say from what: make labels FROM=file.csv")
    with ExitStack() as closing:
        connection = None
        try:
            connection = closing.enter_context(connect())
        except OperationalError as error:
            if is_table(arguments.source):
                raise
            print(f"The predictions aren't looked for: {error}", file=sys.stderr)  # their truth can still be sent
        labels_command.run(out, arguments.source, arguments.model, connection)


def housekeeping(arguments: argparse.Namespace) -> None:
    """Show what is older than the settings say and named by nothing, or delete it."""
    from penguins.housekeeping import command  # imports MLflow, which takes seconds

    command.run(out, arguments.delete)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m penguins", description="Show and change the model in Production.")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (models, promote, rollback, sign, check, predictions, labels, drift, verdicts, housekeeping):
        sub = commands.add_parser(command.__name__, help=command.__doc__)
        sub.set_defaults(command=command)
        if command is housekeeping:
            sub.add_argument("--delete", action="store_true", help="delete it")
            continue
        sub.add_argument("--contract", metavar="NAME", help=f"contract of the model; by default {contracts.DEFAULT}")
        sub.add_argument("--model", metavar="NAME", help="registered model; by default the contract's")
        if command in (promote, sign):
            sub.add_argument("version", type=_non_empty, help="number of the version")
        if command is labels:
            sub.add_argument("source", help="file, s3:// address or table:name with the truth")
            sub.add_argument("--missing", action="store_true", help="only list truths whose prediction never came")
        if command is check:
            sub.add_argument("source", help="as for a run; empty for the contract's")
            sub.add_argument("--offline", action="store_true", help="don't compare with Production")
        if command is sign:
            sub.add_argument("--yes", action="store_true", help="don't ask")
        if command in (promote, rollback):
            sub.add_argument("--reason", required=True, type=_non_empty, help="goes into the audit trail")
        if command is drift:
            sub.add_argument("--since", default="", help="from this time on, in ISO 8601; an hour before the end")
            sub.add_argument("--until", default="", help="before this time; now by default")
        if command is verdicts:
            sub.add_argument("--limit", default="", help="number of verdicts; 20 by default")
        if command is predictions:
            prediction_log.add_arguments(sub)
        elif command not in (models, labels, drift, verdicts):
            sub.add_argument("--by", type=_non_empty, help="name of the person who decides; by default the caller")
    return parser


def _non_empty(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty: set it, as in VERSION=2 or REASON='why'")
    return text.strip()


if __name__ == "__main__":
    # A fifth of a short command would go into looking for garbage among what is imported, and stays.
    gc.set_threshold(100_000, 10, 10)
    atexit.register(gc.freeze)
    sys.exit(main())

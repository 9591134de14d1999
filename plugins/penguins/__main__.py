"""`python -m penguins`: versions, promotion, rollback, signatures, predictions, truth, drift, verdicts, sources.

`make models`, `make promote`, `make rollback`, `make sign`, `make predictions`, `make labels`, `make drift`,
`make verdicts` and `make check` call it with the environment of the embedded stack. The same targets with the prefix
`compose-` call it in a container of Airflow.
"""

import argparse
import getpass
import logging
import os
import sys
from contextlib import ExitStack, nullcontext
from typing import Any

from psycopg import Connection, OperationalError
from rich.console import Console
from rich.table import Table

from penguins import contracts, service_status
from penguins.commands import run_command
from penguins.connection import connect
from penguins.data.table_source import is_table
from penguins.errors import UserError
from penguins.monitoring import command as prediction_log
from penguins.monitoring import verdicts_command
from penguins.promotion import audit, decisions, vouching
from penguins.promotion.lineage import recorded_runs
from penguins.promotion.reasons import to_plain_text
from penguins.registry import model_versions
from penguins.settings import settings

TRAIL_ENTRIES = 10  # number of entries shown
METRICS = ("holdout_accuracy", "holdout_f1_macro", "cv_accuracy_mean")

out = Console(markup=False, emoji=False, highlight=False)


def main() -> int:
    """Run one command. After an error, print one line and return 1."""
    arguments = _parser().parse_args()
    return run_command(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> None:
    contract = arguments.contract or contracts.DEFAULT
    arguments.model = arguments.model or contracts.find(contract).training.registered_model
    if arguments.command in (check, labels):
        arguments.command(arguments)
        return
    with connect() as connection:
        arguments.command(connection, arguments)


def models(connection: Connection[Any], arguments: argparse.Namespace) -> None:
    """Show the versions and the last decisions."""
    model = arguments.model
    champion = model_versions.production(model)
    others = {version: alias for alias, version in model_versions.registered_model(model).aliases.items()}
    versions = Table("version", "", "accuracy", "macro F1", "CV", "model", "why", title=model, box=None)
    found, entries = model_versions.versions(model), audit.trail(connection, model)
    waiting = audit.in_shadow(entries)
    origins = recorded_runs(connection, found)
    for version in found:
        here = "Production" if champion and champion.version == version.version else others.get(version.version, "")
        if not vouching.is_signed(version):
            here = f"{here}, unsigned".removeprefix(", ")
        measured = origins[version.version].data.metrics if version.version in origins else {}
        metrics = [f"{measured[name]:.4f}" if name in measured else "" for name in METRICS]
        final = audit.final_decision(entries, version) or (waiting if waiting and waiting.is_about(version) else None)
        texts = map(to_plain_text, [(version.description or "")[:80], final.reason if final else ""])
        versions.add_row(version.version, here, *metrics, *texts)
    trail = Table("when", "who", "what", "from", "to", "why", title="Audit trail", box=None)
    for entry in entries[:TRAIL_ENTRIES]:
        decision = (entry.who, entry.action, entry.from_version or "", entry.to_version, entry.reason)
        trail.add_row(f"{entry.at:%Y-%m-%d %H:%M}", *map(to_plain_text, decision))
    now = f"Version {champion.version} is in Production." if champion else "Nothing is in Production."
    out.print(*map(to_plain_text, [now, *service_status.read(model).describe()]), "", sep="\n")
    none = f"{model} has no version yet: a run of the DAG registers one."
    out.print(versions if versions.row_count else none)
    if trail.row_count:
        out.print("", trail, sep="\n")


def promote(connection: Connection[Any], arguments: argparse.Namespace) -> None:
    """Put a version in Production."""
    version = model_versions.version(arguments.model, arguments.version)
    by = arguments.by or _caller()
    decisions.promote_by_hand(connection, version, arguments.reason, by)
    out.print(f"Version {version.version} is in Production.")
    _tell(arguments, version.version, False, by)


def rollback(connection: Connection[Any], arguments: argparse.Namespace) -> None:
    """Put the version before in Production again."""
    by = arguments.by or _caller()
    report = decisions.rollback(connection, arguments.model, arguments.reason, by)
    for number, reason in report.passed_over.items():
        out.print(f"Passed over version {number}: {to_plain_text(reason)}", soft_wrap=True)
    out.print(f"Version {report.version} is in Production again.")
    _tell(arguments, report.version, True, by)


def _tell(arguments: argparse.Namespace, version: str, is_rollback: bool, by: str) -> None:
    """Tell PENGUINS_NOTIFY_URL that a version was put in Production."""
    if settings().notify_url:
        from penguins.airflow import notices  # imports Airflow, which takes two seconds

        logging.disable(logging.NOTSET)  # a notice that wasn't delivered is a warning
        contract = contracts.find(arguments.contract or contracts.DEFAULT)
        notices.tell_move(contract, arguments.model, version, is_rollback, arguments.reason, by)


def sign(connection: Connection[Any], arguments: argparse.Namespace) -> None:
    """Sign a version that isn't, after a look at its files and its origin."""
    inspected = vouching.inspect(connection, model_versions.version(arguments.model, arguments.version))
    for line in inspected.lines():
        out.print(line, soft_wrap=True)
    if not (arguments.yes or _agrees("Tasks, and perhaps the service, then run model.pkl as code. Sign these files?")):
        raise UserError("Nothing was signed. Answer y to sign, or say YES=1.")
    vouching.sign(connection, inspected, arguments.by or _caller())
    out.print(f"Version {inspected.version.version} is signed.")


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


def _agrees(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m penguins", description="Show and change the model in Production.")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (models, promote, rollback, sign, check, predictions, labels, drift, verdicts):
        sub = commands.add_parser(command.__name__, help=command.__doc__)
        sub.set_defaults(command=command)
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


def _caller() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user of a container may have no name; Python 3.13 raises OSError
        return f"uid {os.getuid()}"


def _non_empty(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty: set it, as in VERSION=2 or REASON='why'")
    return text.strip()


if __name__ == "__main__":
    sys.exit(main())

"""Show the versions of a model, promote one by hand, roll back, and sign."""

import argparse
import getpass
import logging
import os
from typing import Any, Final

from psycopg import Connection
from rich.console import Console
from rich.table import Table

from penguins import contracts, service_status
from penguins.errors import UserError
from penguins.promotion import audit, decisions, vouching
from penguins.promotion.lineage import recorded_runs
from penguins.promotion.reasons import to_plain_text
from penguins.registry import model_versions
from penguins.settings import settings

TRAIL_ENTRIES: Final = 10  # number of entries shown
METRICS: Final = ("holdout_accuracy", "holdout_f1_macro", "cv_accuracy_mean")


def models(connection: Connection[Any], out: Console, arguments: argparse.Namespace) -> None:
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


def promote(connection: Connection[Any], out: Console, arguments: argparse.Namespace) -> None:
    """Put a version in Production."""
    version = model_versions.version(arguments.model, arguments.version)
    by = arguments.by or _caller()
    decisions.promote_by_hand(connection, version, arguments.reason, by)
    out.print(f"Version {version.version} is in Production.")
    _tell(arguments, version.version, False, by)


def rollback(connection: Connection[Any], out: Console, arguments: argparse.Namespace) -> None:
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


def sign(connection: Connection[Any], out: Console, arguments: argparse.Namespace) -> None:
    """Sign a version that isn't, after a look at its files and its origin."""
    inspected = vouching.inspect(connection, model_versions.version(arguments.model, arguments.version))
    for line in inspected.lines():
        out.print(line, soft_wrap=True)
    if not (arguments.yes or _agrees("Tasks, and perhaps the service, then run model.pkl as code. Sign these files?")):
        raise UserError("Nothing was signed. Answer y to sign, or say YES=1.")
    vouching.sign(connection, inspected, arguments.by or _caller())
    out.print(f"Version {inspected.version.version} is signed.")


def _agrees(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _caller() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user of a container may have no name; Python 3.13 raises OSError
        return f"uid {os.getuid()}"

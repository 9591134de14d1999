"""`make predictions`: show the prediction log."""

import argparse
from datetime import UTC
from typing import Any

from psycopg import Connection
from rich.console import Console
from rich.table import Table

from contract.segments import LoggedContract
from penguins.errors import UserError
from penguins.monitoring import predictions
from penguins.monitoring.predictions import Filter, Logged
from penguins.monitoring.times import parse_time
from penguins.promotion.reasons import to_plain_text
from penguins.registry.prediction_views import view_name

_ROWS_OF_A_REQUEST = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--id", default="", help="id of a prediction, or id/row of one of a list or table")
    parser.add_argument("--version", default="", help="only of this version")
    parser.add_argument("--class", dest="class_name", default="", help="only of this class")
    parser.add_argument("--since", default="", help="from this time on, in ISO 8601; UTC without a zone")
    parser.add_argument("--until", default="", help="before this time")
    parser.add_argument("--limit", default="", help="number of rows; 20 by default")


def show(connection: Connection[Any], out: Console, contract: str, arguments: argparse.Namespace) -> None:
    """Show the latest predictions of a model, or with an id one request with its lineage.

    Raises:
        UserError: an argument can't be used, or no row has the id.
    """
    predictions.create_views(connection, contract)
    if arguments.id:
        _show_request(connection, out, arguments.id.strip())
        return
    wanted = Filter(
        arguments.model,
        arguments.version or None,
        arguments.class_name or None,
        parse_time("SINCE", arguments.since),
        parse_time("UNTIL", arguments.until),
    )
    limit = arguments.limit or "20"
    if not limit.isdecimal() or not 0 < int(limit) <= 10_000:
        raise UserError(f"LIMIT={limit} isn't a number from 1 to 10000.")
    found = predictions.latest(connection, wanted, int(limit))
    if not found:
        out.print(f"The log has no such prediction of {to_plain_text(arguments.model)}.")
        return
    out.print(_table(arguments.model, found, predictions.contracts(connection)))
    out.print(f"\nThe view {view_name(contract)} in the database penguins has all columns, with their names.")


def _table(model: str, found: list[Logged], known: dict[bytes, LoggedContract]) -> Table:
    table = Table("when (UTC)", "id", "version", "class", "p", "outside", "ms", "truth", title=model, box=None)
    for row in found:
        classes = known[row.contract].classes
        table.add_row(
            f"{row.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            f"{row.prediction_id}/{row.row_index}",
            row.version,
            to_plain_text(classes[row.label]),
            f"{row.probabilities[row.label]:.3f}",
            str(row.outside or ""),
            f"{row.latency_ms:.2f}",
            to_plain_text(row.truth or ""),
        )
    return table


def _show_request(connection: Connection[Any], out: Console, text: str) -> None:
    found = predictions.of_request(connection, text, _ROWS_OF_A_REQUEST)
    if not found:
        raise UserError(
            f"The log has no prediction {text}. It may be on its way for some seconds; older than the retention, not"
            " sampled, or lost and counted."
        )
    known = predictions.contracts(connection)
    for row in found:
        _show_row(out, row, known[row.contract])
    if len(found) == _ROWS_OF_A_REQUEST:
        out.print(f"The first {_ROWS_OF_A_REQUEST} rows of the request; ID=…/20 shows another one.")
    from penguins.monitoring.lineage import lineage  # imports MLflow, which takes seconds

    for line in lineage(connection, found[0]):
        out.print(to_plain_text(line), soft_wrap=True)


def _show_row(out: Console, row: Logged, contract: LoggedContract) -> None:
    table = Table(
        "", "", title=f"{row.prediction_id}/{row.row_index}", box=None, show_header=False, title_justify="left"
    )
    for name, value in predictions.decode(contract, row.features).items():
        table.add_row(to_plain_text(name), to_plain_text(value) or "missing, or not logged")
    shares = zip(contract.classes, row.probabilities, strict=True)
    table.add_row(contract.target, to_plain_text(contract.classes[row.label]))
    table.add_row("probabilities", to_plain_text(", ".join(f"{name} {share:.3f}" for name, share in shares)))
    table.add_row("truth", to_plain_text(row.truth) if row.truth else "nobody has said it")
    table.add_row("outside the training range", f"{row.outside} features")
    table.add_row("answered", f"{row.at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC, in {row.latency_ms:.2f} ms")
    out.print(table, "", sep="\n")

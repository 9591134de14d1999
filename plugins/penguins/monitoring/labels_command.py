"""`make labels`: send the true classes in a file, and say what became of them; or list those without a prediction."""

import sys
from datetime import UTC, datetime
from typing import Any, Final

from psycopg import Connection
from rich.console import Console

from penguins.errors import UserError
from penguins.monitoring import labels
from penguins.monitoring import missing as missing_predictions
from penguins.monitoring.labels import Labelled
from penguins.promotion.reasons import to_plain_text

SHOWN: Final = 20


def run(out: Console, source: str, model: str, connection: Connection[Any] | None) -> None:
    """Send the truths in a file about predictions of a registered model, and print the result.

    Args:
        connection: to the pipeline's database, to look for the predictions; None for no look.

    Raises:
        UserError: the file can't be sent, or rows of it were refused.
        ServiceError: the service doesn't answer.
    """
    result = labels.send(source, model, connection, _progress)
    out.print(f"{result.accepted:,} truths of {to_plain_text(source)} were accepted.", soft_wrap=True)
    if result.missing.rows:
        shown = ", ".join(result.missing.first)
        out.print(
            f"{result.missing.rows:,} of their predictions aren't in the log, such as {shown}. They may be on their way"
            " for some seconds, older than the retention, not sampled, or lost and counted; or the id is wrong, or that"
            " of another model. Their truth waits for them: run the command again to look again, or in an hour"
            " `make labels MISSING=1`.",
            soft_wrap=True,
        )
    for refused in result.refused[:SHOWN]:
        out.print(f"row {refused.row}: {to_plain_text(refused.reason)}", soft_wrap=True)
    if number := len(result.refused):
        more = f", of which the first {SHOWN} are above" if number > SHOWN else ""
        raise UserError(
            f"{number:,} rows were refused{more}. Mend them, and send the file again: what was accepted counts once."
        )


def show_missing(out: Console, model: str, connection: Connection[Any]) -> None:
    """Print the truths about a registered model that have waited for their prediction longer than it can take."""
    before = datetime.now(UTC) - missing_predictions.LONGEST_WAIT
    found = missing_predictions.orphans(connection, model, before)
    if not found:
        out.print(
            f"Each truth about {to_plain_text(model)} from before {before:%H:%M} UTC has its prediction in the log."
        )
        return
    out.print(
        f"{found[0].number:,} truths about {to_plain_text(model)} from before {before:%H:%M} UTC have no prediction in"
        " the log: not sampled, lost and counted, or older than the retention; or the id is wrong, or that of another"
        " model. The latest:",
        soft_wrap=True,
    )
    for each in found:
        said = f"{each.id} {each.class_name}, received {each.received_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        out.print(to_plain_text(f"{said} from {each.who}" if each.who else said), soft_wrap=True)


def _progress(so_far: Labelled) -> None:
    print(f"{so_far.accepted:,} truths sent, {len(so_far.refused):,} rows refused", file=sys.stderr, flush=True)

"""`make labels`: send the true classes in a file, and say what became of them."""

import sys
from typing import Any, Final

from psycopg import Connection
from rich.console import Console

from penguins.errors import UserError
from penguins.monitoring import labels
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
            " for some seconds, older than the retention, not sampled, or lost and counted; or the id is wrong. Their"
            " truth waits for them: run the command again to look again.",
            soft_wrap=True,
        )
    for refused in result.refused[:SHOWN]:
        out.print(f"row {refused.row}: {to_plain_text(refused.reason)}", soft_wrap=True)
    if number := len(result.refused):
        more = f", of which the first {SHOWN} are above" if number > SHOWN else ""
        raise UserError(
            f"{number:,} rows were refused{more}. Mend them, and send the file again: what was accepted counts once."
        )


def _progress(so_far: Labelled) -> None:
    print(f"{so_far.accepted:,} truths sent, {len(so_far.refused):,} rows refused", file=sys.stderr, flush=True)

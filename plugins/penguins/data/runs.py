"""The runs and their tables: their names, who is published, and how long they are kept.

The rows of a run are in tables of its own, such as `penguins_raw_<hash of the run's id>`. The table of the run that
started last is named `penguins_raw` instead (see `publishing`).
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import Connection, errors, sql
from psycopg.types.json import Jsonb

from penguins.errors import UserError

log = logging.getLogger(__name__)

RAW: Final = "penguins_raw"
PROCESSED: Final = "penguins_processed"
BY_HAND: Final = ""  # in the place of a run's id, for rows that no DAG run loaded
KEPT: Final = 5  # runs that keep their tables after their end
_DROP_TIMEOUT: Final = "5s"  # longest wait for a reader of an old table


@dataclass(frozen=True)
class Run:
    """A DAG run: its id, and when it started."""

    id: str
    started: datetime

    @property
    def hash(self) -> str:
        """Return the last part of the names of this run's tables."""
        return hashlib.sha256(self.id.encode()).hexdigest()[:32]

    def table(self, name: str) -> str:
        """Return the name of this run's table while it isn't published as `name`."""
        return f"{name}_{self.hash}"


def id_of(run: Run | None) -> str:
    """Return the id of a run, or `BY_HAND`."""
    return run.id if run else BY_HAND


def open_run(connection: Connection[Any], run: Run) -> None:
    """Note that a run begins to load, so that `drop_old` finds what an interrupted load leaves, too."""
    connection.execute(
        """INSERT INTO penguins_runs (run_id, hash, started_at) VALUES (%s, %s, %s)
           ON CONFLICT (run_id) DO UPDATE SET started_at = excluded.started_at""",
        [run.id, run.hash, run.started],
    )


def note_load(connection: Connection[Any], run: Run, source: Mapping[str, Any]) -> None:
    """Note that the rows of a run are loaded, with the facts about their source."""
    update = "UPDATE penguins_runs SET loaded_at = clock_timestamp(), source = %s WHERE run_id = %s"
    connection.execute(update, [Jsonb(dict(source)), run.id])


def find_table(connection: Connection[Any], name: str, run: Run | None) -> sql.Identifier:
    """Return the table `name` of a run, which keeps its name until the end of the transaction.

    Args:
        run: None for the published table.

    Raises:
        UserError: the run's table was dropped.
    """
    connection.execute("SELECT pg_advisory_xact_lock_shared(hashtext(%s))", [name])
    published = published_run(connection, name)
    if run is None or (published and published.id == run.id):
        return sql.Identifier(name)
    if connection.execute("SELECT to_regclass(%s)", [run.table(name)]).fetchone() == (None,):
        raise UserError(
            f"the rows of {run.id} are gone from {name}: only the last {KEPT} runs keep theirs. "
            "Clear load_raw too, to load them again."
        )
    return sql.Identifier(run.table(name))


def published_run(connection: Connection[Any], name: str) -> Run | None:
    """Return the run whose rows are published as `name`; its id is `BY_HAND` for those of no DAG run."""
    query = "SELECT run_id, started_at FROM penguins_published WHERE name = %s"
    found = connection.execute(query, [name]).fetchone()
    return Run(*found) if found else None


def keeps_tables(connection: Connection[Any], run: Run) -> bool:
    """Tell whether the tables of a run are kept for now."""
    return connection.execute("SELECT FROM penguins_runs WHERE run_id = %s", [run.id]).rowcount == 1


def drop_old(connection: Connection[Any], is_active: Callable[[str], bool]) -> None:
    """Drop tables and rejected rows of all runs but those that have loaded last and those that haven't ended.

    Args:
        is_active: tells by its id whether a run hasn't ended.
    """
    old = connection.execute(
        """SELECT run_id, started_at FROM penguins_runs WHERE run_id NOT IN
           (SELECT run_id FROM penguins_runs WHERE loaded_at IS NOT NULL ORDER BY started_at DESC LIMIT %s)""",
        [KEPT],
    ).fetchall()
    for run in (Run(*row) for row in old if not is_active(row[0])):
        try:
            _drop_run(connection, run)
        except (UserError, errors.LockNotAvailable) as error:
            log.warning("the tables of %s stay until the next load: %s", run.id, error)
    connection.execute("DELETE FROM penguins_rejected WHERE run_id NOT IN (SELECT run_id FROM penguins_runs)")


def _drop_run(connection: Connection[Any], run: Run) -> None:
    with connection.transaction():
        connection.execute("SELECT set_config('lock_timeout', %s, true)", [_DROP_TIMEOUT])
        for name in (RAW, PROCESSED):
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [name])
            drop_table(connection, run.table(name))
            drop_table(connection, f"{run.table(name)}_staging")
        connection.execute("DELETE FROM penguins_runs WHERE run_id = %s", [run.id])


def drop_table(connection: Connection[Any], table: str) -> None:
    """Drop a table if it exists.

    Raises:
        UserError: something depends on it.
    """
    try:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(table)))
    except errors.DependentObjectsStillExist as error:
        raise UserError(
            f"{table} can't be replaced, for something depends on it: {error.diag.message_detail}. "
            "Drop that, and let it read the table by a function or a copy."
        ) from error

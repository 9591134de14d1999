"""The runs and their tables: their names, who is published, and how long they are kept.

The rows of a run are in tables of its own, such as `penguins_raw_<hash of the run's id>`. The table of the run that
started last is named `penguins_raw` instead (see `publishing`). Runs of two contracts may have the same id.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import Connection, errors, sql
from psycopg.types.json import Jsonb

from contract.schema import MAX_NAME_BYTES, DataContract
from penguins.data import ddl
from penguins.data.contract import or_penguins
from penguins.data.ddl import Kind
from penguins.errors import UserError

log = logging.getLogger(__name__)

BY_HAND: Final = ""  # in the place of a run's id, for rows that no DAG run loaded
KEPT: Final = 5  # runs that keep their tables after their end
_STAGING: Final = "_staging"
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
        own = f"{name}_{self.hash}"
        if len(staging_of(own)) <= MAX_NAME_BYTES:
            return own
        # PostgreSQL would cut the name off, so the hash is of both names.
        both = hashlib.sha256(f"{name} {self.id}".encode()).hexdigest()[:32]
        return f"{name[: MAX_NAME_BYTES - len(staging_of(both)) - 1]}_{both}"


def staging_of(table: str) -> str:
    """Return the name of a table while its rows are loaded."""
    return table + _STAGING


def id_of(run: Run | None) -> str:
    """Return the id of a run, or `BY_HAND`."""
    return run.id if run else BY_HAND


def open_run(connection: Connection[Any], contract: DataContract, run: Run) -> None:
    """Note that a run begins to load, so that `drop_old` finds what an interrupted load leaves, too."""
    connection.execute(
        """INSERT INTO penguins_runs (contract, run_id, hash, started_at) VALUES (%s, %s, %s, %s)
           ON CONFLICT (contract, run_id) DO UPDATE SET started_at = excluded.started_at""",
        [contract.name, run.id, run.hash, run.started],
    )


def note_load(connection: Connection[Any], contract: DataContract, run: Run, source: Mapping[str, Any]) -> None:
    """Note that the rows of a run are loaded, with the facts about their source."""
    update = "UPDATE penguins_runs SET loaded_at = clock_timestamp(), source = %s WHERE contract = %s AND run_id = %s"
    connection.execute(update, [Jsonb(dict(source)), contract.name, run.id])


def find_table(connection: Connection[Any], contract: DataContract, kind: Kind, run: Run | None) -> sql.Identifier:
    """Return a table of a run, which keeps its name until the end of the transaction.

    Args:
        run: None for the published table.

    Raises:
        UserError: the table was dropped or isn't there yet, or was loaded by another contract.
    """
    name = contract.table(kind)
    connection.execute("SELECT pg_advisory_xact_lock_shared(hashtext(%s))", [name])
    published = published_run(connection, name)
    table = name if run is None or (published and published.id == run.id) else run.table(name)
    task = "load_raw" if kind == "raw" else "preprocess"
    found = ddl.read_fields(connection, table)
    if not found and run:
        raise UserError(
            f"the rows of {run.id} are gone from {name}: only the last {KEPT} runs keep theirs. "
            "Clear load_raw too, to load them again."
        )
    if not found:
        raise UserError(f"there is no table {name} yet. Run {task} first.")
    _check_columns(table, found, ddl.fields(contract, kind), task)
    return sql.Identifier(table)


def _check_columns(table: str, found: Mapping[str, ddl.Field], wanted: list[ddl.Field], task: str) -> None:
    known = {name: field for name, field in found.items() if name in {each.name for each in wanted}}
    if changes := ddl.differences(known, wanted):
        raise UserError(
            f"the contract has changed since {table} was loaded ({', '.join(changes)}). Run or clear {task} too."
        )


def published_run(connection: Connection[Any], name: str) -> Run | None:
    """Return the run whose rows are published as `name`; its id is `BY_HAND` for those of no DAG run."""
    query = "SELECT run_id, started_at FROM penguins_published WHERE name = %s"
    found = connection.execute(query, [name]).fetchone()
    return Run(*found) if found else None


def keeps_tables(connection: Connection[Any], contract: DataContract, run: Run) -> bool:
    """Tell whether the tables of a run are kept for now."""
    query = "SELECT FROM penguins_runs WHERE contract = %s AND run_id = %s"
    return connection.execute(query, [contract.name, run.id]).rowcount == 1


def drop_old(
    connection: Connection[Any], is_active: Callable[[str], bool], contract: DataContract | None = None
) -> None:
    """Drop tables and rejected rows of all runs but those that have loaded last and those that haven't ended.

    Args:
        is_active: tells by its id whether a run hasn't ended.
        contract: runs of other contracts are left alone.
    """
    contract = or_penguins(contract)
    old = connection.execute(
        """SELECT run_id, started_at FROM penguins_runs WHERE contract = %(contract)s AND run_id NOT IN
           (SELECT run_id FROM penguins_runs WHERE contract = %(contract)s AND loaded_at IS NOT NULL
            ORDER BY started_at DESC LIMIT %(kept)s)""",
        {"contract": contract.name, "kept": KEPT},
    ).fetchall()
    for run in (Run(*row) for row in old if not is_active(row[0])):
        try:
            _drop_run(connection, contract, run)
        except (UserError, errors.LockNotAvailable) as error:
            log.warning("the tables of %s stay until the next load: %s", run.id, error)
    forget = sql.SQL("DELETE FROM {} WHERE run_id NOT IN (SELECT run_id FROM penguins_runs WHERE contract = %s)")
    connection.execute(forget.format(sql.Identifier(contract.table("rejected"))), [contract.name])


def _drop_run(connection: Connection[Any], contract: DataContract, run: Run) -> None:
    with connection.transaction():
        connection.execute("SELECT set_config('lock_timeout', %s, true)", [_DROP_TIMEOUT])
        for name in (contract.table("raw"), contract.table("processed")):
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [name])
            drop_table(connection, run.table(name))
            drop_table(connection, staging_of(run.table(name)))
        delete = "DELETE FROM penguins_runs WHERE contract = %s AND run_id = %s"
        connection.execute(delete, [contract.name, run.id])


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

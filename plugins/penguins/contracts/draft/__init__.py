"""Draft the contract of a table from its rows."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from psycopg import Connection

from contract import odcs
from contract.manifest import MAX_FEATURES
from penguins import contracts
from penguins.contracts.draft.guesses import Guess, guess_column, guess_target
from penguins.contracts.draft.table import read_table
from penguins.contracts.draft.yaml_text import write
from penguins.data.header import MAX_NAME_LENGTH
from penguins.data.sources import as_local_file, translate_errors
from penguins.data.table_source import is_table, name_of_table
from penguins.errors import UserError


@dataclass(frozen=True)
class Draft:
    """A contract file that isn't written yet.

    Attributes:
        text: content of the file.
        columns: what was guessed, in the order of the table.
        left_out: reason by name of the columns that aren't in it.
    """

    name: str
    text: str
    rows: int
    malformed: int
    columns: tuple[Guess, ...]
    left_out: dict[str, str]


def draft(
    source: str,
    target: str,
    name: str = "",
    folder: Path | None = None,
    connection: Connection[Any] | None = None,
) -> Draft:
    """Draft a contract.

    Args:
        source: `palmerpenguins`, the path of a file, an s3:// address of one, or `table:name`.
        target: name of the column to predict.
        name: of the contract; empty for one made from the name of the file.
        folder: that the file will be in; None for the folder of the contracts.
        connection: to the pipeline's database, for a table of it.

    Raises:
        UserError: the source can't be read, or no model can be trained on it as it is.
    """
    name = name or name_of(source)
    with as_local_file(source, connection) as path, translate_errors(source):
        table = read_table(source, path, target)
    goal = guess_target(table)
    columns = tuple(goal if profile is table.target else guess_column(table, profile) for profile in table.columns)
    features = sum(guess.role == "feature" for guess in columns)
    if features > MAX_FEATURES:
        raise UserError(
            f"{source}: {features:,} columns could be features, and a model has at most {MAX_FEATURES:,}. "
            "Write those that are of use into a file of their own."
        )
    if not features:
        reasons = {guess.name: guess.reason for guess in columns if guess.role != "target"} | table.left_out
        why = "; ".join(f"{name[:MAX_NAME_LENGTH]!r}: {reason}" for name, reason in reasons.items())
        raise UserError(f"{source}: no column beside the target is of use to a model. {why[:1000] or 'There is none'}.")
    text = write(
        name,
        _address(source),
        _schema_from(folder or contracts.path_of(name).parent),
        table.target.rows,
        goal,
        list(columns),
        table.left_out,
        table.reading,
        set().union(*(profile.spellings for profile in table.columns)),
        _folds(goal),
    )
    _check(text, name)
    return Draft(name, text, table.target.rows, table.malformed, columns, table.left_out)


def name_of(source: str) -> str:
    """Make the name of a contract from that of a file or a table."""
    file = source.rstrip("/").rpartition("/")[2].partition(".")[0]
    stem = (name_of_table(source) if is_table(source) else file).lower()
    name = re.sub(r"[^a-z0-9]+", "_", stem).strip("_").lstrip("0123456789_")[:41]
    if not name:
        raise UserError(f"{source}: the name of the file makes no name for the contract. Give one: NAME=wine")
    return name


def _address(source: str) -> str:
    """Return a source as the DAG finds it: the path of a file from the root."""
    is_name = "://" in source or source == "palmerpenguins" or is_table(source)
    return source if is_name else str(Path(source).resolve())


def summary(drafted: Draft, file: TextIO) -> None:
    """Print what was guessed to a file, as a table."""
    from rich.console import Console
    from rich.table import Table as Grid

    grid = Grid("column", "type", "role", "why", title=f"{drafted.rows:,} rows", box=None)
    for guess in drafted.columns:
        grid.add_row(*map(shown_in_terminal, (guess.name, guess.type, guess.role, guess.reason)))
    for name, why in drafted.left_out.items():
        grid.add_row(*map(shown_in_terminal, (name, "", "left out", why)))
    out = Console(file=file, markup=False, emoji=False, highlight=False)
    out.print(grid)
    if drafted.malformed:
        out.print(f"{drafted.malformed:,} rows have another number of columns, and are rejected.")


def shown_in_terminal(text: str) -> str:
    """Return a text from a file without what a terminal would obey."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _folds(target: Guess) -> int:
    """Return the folds of the cross-validation: five, or as many as the smallest class has rows to learn from."""
    fewest = min((target.categories or {}).values())
    return max(2, min(5, fewest - round(0.2 * fewest)))


def _schema_from(folder: Path) -> str:
    """Return the path of the JSON schema from a folder."""
    return os.path.relpath(contracts.ROOT / "contracts" / "schema.json", folder)


def _check(text: str, name: str) -> None:
    """Check that the draft is a contract; it could fail by a name that the user gave."""
    try:
        odcs.read_text(text.encode(), f"the draft {name[:50]}.yaml", name)
    except odcs.ContractError as error:
        raise UserError(str(error)) from error

"""`python -m penguins.contracts`: draft, check and show contract files, and write their JSON schema.

`make contract` and `make check-contract` call it. It imports no MLflow and asks no service.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from contract import odcs
from contract.example import example_row
from contract.odcs.shape import Finding
from contract.schema import DataContract, dag_id_of
from penguins import contracts
from penguins.commands import run_command
from penguins.errors import UserError


def main() -> int:
    """Run one command. After an error, print its lines and return 1."""
    arguments = _parser().parse_args()
    return run_command(lambda: arguments.command(arguments))


def check(arguments: argparse.Namespace) -> None:
    """Check a contract, or all of the folder."""
    if arguments.file:
        _show(Path(arguments.file), contracts.read(Path(arguments.file), grid_findings))
        return
    if arguments.contract:
        _show(contracts.path_of(arguments.contract), contracts.find_distinct(arguments.contract, grid_findings))
        return
    found = contracts.read_all(grid_findings)
    for name, contract in found.good.items():
        _show(contracts.path_of(name), contract)
    if found.broken:
        raise UserError("\n".join(found.broken.values()))
    if not found.good:
        where = contracts.path_of("").parent
        raise UserError(f"{where}: no contract; draft one: make contract FROM=file.csv TARGET=column")


def _show(path: Path, contract: DataContract) -> None:
    features, classes = len(contract.features), len(contract.classes)
    print(
        f"{path}: in order. {features} feature{'s' * (features != 1)}, {classes} classes of {contract.target.name!r}, "
        f"model {contract.training.registered_model!r}."
    )


def show(arguments: argparse.Namespace) -> None:
    """Print the names that a contract gives, and a row to predict, as JSON."""
    found = contracts.find_distinct(arguments.contract)
    training = found.training
    names = {"name": found.name, "dag": found.dag_id, "scoring_dag": dag_id_of(found.name, "scoring")}
    names |= {"experiment": training.experiment}
    print(json.dumps(names | {"model": training.registered_model, "example": example_row(found)}))


def draft(arguments: argparse.Namespace) -> None:
    """Draft the contract of a table from its rows."""
    # These import pyarrow and psycopg, which a check doesn't need.
    from penguins.connection import connect
    from penguins.contracts.draft import draft, name_of, summary
    from penguins.data.table_source import is_table

    if not arguments.source or not arguments.target:
        raise UserError("Say from what: make contract FROM=file.csv TARGET=column, or FROM=table:name")
    name = arguments.name or name_of(arguments.source)
    path = contracts.path_of(name)
    if path.exists() and not arguments.force:
        raise UserError(f"{path} is there already. FORCE=1 replaces it; NAME=… makes another one.")
    with connect() if is_table(arguments.source) else nullcontext() as connection:
        folder = contracts.ROOT / "contracts" if arguments.stdout else None
        drafted = draft(arguments.source, arguments.target, name, folder, connection)
    if arguments.stdout:
        summary(drafted, sys.stderr)
        print(drafted.text, end="")
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.draft")
        temporary.write_text(drafted.text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path}: can't be written: {error.strerror}") from error
    summary(drafted, sys.stdout)
    print(f"Wrote {path}: each guess has a comment there. Next: make run CONTRACT={name}")


def schema(_arguments: argparse.Namespace) -> None:
    """Print the JSON schema of a contract file, for editors."""
    print(json.dumps(odcs.json_schema(), indent=2))


def grid_findings(contract: DataContract) -> Iterator[Finding]:
    """Yield the mistakes in a contract's grid: unknown hyperparameters, values that scikit-learn refuses, too few."""
    training = contract.training
    if training.grid is None:
        return
    from penguins.training.grid import candidates  # imports scikit-learn

    try:
        candidates(training.grid, training.estimator)
    except UserError as error:
        yield ("training", "grid"), str(error).removeprefix("grid: ")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m penguins.contracts", description="Work on contract files.")
    commands = parser.add_subparsers(required=True, metavar="command")
    checking = commands.add_parser("check", help=check.__doc__)
    checking.set_defaults(command=check)
    checking.add_argument("--contract", default="", help="name of a contract in the folder")
    checking.add_argument("--file", default="", help="path of a contract file")
    showing = commands.add_parser("show", help=show.__doc__)
    showing.set_defaults(command=show)
    showing.add_argument("contract", help="name of a contract in the folder")
    drafting = commands.add_parser("draft", help=draft.__doc__)
    drafting.set_defaults(command=draft)
    drafting.add_argument("--from", dest="source", required=True, help="path of a file, s3:// address or table:name")
    drafting.add_argument("--target", required=True, help="column that the model predicts")
    drafting.add_argument("--name", default="", help="of the contract; by default that of the source")
    drafting.add_argument("--force", action="store_true", help="replace a contract of this name")
    drafting.add_argument("--stdout", action="store_true", help="print the contract instead of writing it")
    commands.add_parser("schema", help=schema.__doc__).set_defaults(command=schema)
    return parser


if __name__ == "__main__":
    sys.exit(main())

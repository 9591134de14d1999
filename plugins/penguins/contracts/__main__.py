"""`python -m penguins.contracts`: check contract files, and write their JSON schema.

`make check-contract` calls it. It imports no MLflow and asks no service.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from contract import odcs
from contract.odcs.shape import Finding
from contract.schema import DataContract
from penguins import contracts
from penguins.errors import UserError


def main() -> int:
    """Run one command. After an error, print its lines and return 1."""
    arguments = _parser().parse_args()
    try:
        arguments.command(arguments)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def check(arguments: argparse.Namespace) -> None:
    """Check a contract, or all of the folder."""
    if arguments.file:
        _show(Path(arguments.file), contracts.read(Path(arguments.file), grid_findings))
        return
    if arguments.contract:
        _show(contracts.path_of(arguments.contract), contracts.find(arguments.contract, grid_findings))
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
    commands.add_parser("schema", help=schema.__doc__).set_defaults(command=schema)
    return parser


if __name__ == "__main__":
    sys.exit(main())

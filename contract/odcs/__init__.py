"""Read the data contract of a table from a file in the form of the Open Data Contract Standard.

docs/reference/contract-file.md describes the file. The service doesn't import this package: a model version brings its
contract along.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from contract.odcs import shape, tables
from contract.odcs.document import Document
from contract.odcs.shape import MAX_LENGTH, Finding, printable, shown
from contract.odcs.text import MAX_BYTES, Problem, Tree, UnreadableError, parse
from contract.schema import DataContract

__all__ = ["ContractError", "json_schema", "printable", "read", "read_text"]

MAX_SHOWN: Final = 50  # mistakes in a message

Check = Callable[[DataContract], Iterable[Finding]]
"""Yields mistakes in a contract; their places begin with the name of a custom property, such as `training`."""


class ContractError(Exception):
    """A contract file has mistakes. The text has a line for each of the first ones: `file:line: a sentence`."""

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        self.problems = sorted(dict.fromkeys(problems), key=lambda problem: problem.line)
        lines = [f"{file}:{problem.line}: {problem.message}" for problem in self.problems[:MAX_SHOWN]]
        if more := len(self.problems) - len(lines):
            lines.append(f"{file}: and {more:,} more mistakes")
        super().__init__("\n".join(map(printable, lines)))


def read(path: Path, *checks: Check) -> DataContract:
    """Read a contract file.

    Args:
        checks: yield further mistakes in a contract without mistakes.

    Raises:
        ContractError: it has mistakes; all of them are given.
        OSError: the file can't be read.
    """
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    return read_text(content, str(path), path.stem, *checks)


def read_text(content: bytes, file: str, stem: str, *checks: Check) -> DataContract:
    """Read the content of a contract file.

    Args:
        file: name of the file in messages.
        stem: name of the file without `.yaml`; the contract must have it.
        checks: yield further mistakes in a contract without mistakes.

    Raises:
        ContractError: it has mistakes; all of them are given.
    """
    try:
        tree = parse(content)
    except UnreadableError as error:
        raise ContractError(file, [error.problem]) from error
    problems = [*tree.problems, *_problems(tree, [*shape.findings(tree.data), *tables.findings(tree.data)])]
    name = tree.data.get("name")
    if not problems and name != stem:
        message = f"the name {shown(name)} isn't that of the file: rename the file to {name}.yaml, or write {stem!r}"
        problems.append(Problem(tree.line(("name",)), message))
    if problems:
        raise ContractError(file, problems)
    contract = tables.translate(Document.model_validate(tree.data, by_alias=True, by_name=False))
    further = [((*_entry(tree.data, path[0]), *path[1:]), text) for check in checks for path, text in check(contract)]
    if found := [*_problems(tree, further)]:
        raise ContractError(file, found)
    return contract


def _problems(tree: Tree, findings: Iterable[Finding]) -> Iterable[Problem]:
    for path, sentence in findings:
        yield Problem(tree.line(path), f"{place}: {sentence}" if (place := _place(tree.data, path)) else sentence)


def _entry(data: Any, name: str | int) -> tuple[str | int, ...]:
    """Return the path of the value of a custom property of the file."""
    at = [each["property"] for each in data["customProperties"]].index(name)
    return ("customProperties", at, "value")


def _place(data: Any, path: tuple[str | int, ...]) -> str:
    """Return the place of a value in words: the column by its name, then the keys."""
    words = []
    if path[:3] == ("schema", 0, "properties") and len(path) > 3:
        column = data["schema"][0]["properties"][path[3]]
        name = column.get("name") if isinstance(column, dict) else None
        words.append(f"column {shown(name) if isinstance(name, str) else path[3]}")
        path = path[4:]
    if path[:1] == ("customProperties",) and len(path) > 1:
        words.append(_property(data, path) if not words else "customProperties")
        path = path[2:]
    if path[:2] == ("schema", 0):
        path = ("schema", *path[2:])
    keys = [part[:MAX_LENGTH] if isinstance(part, str) else f"entry {part + 1}" for part in path if part != "value"]
    return ", ".join([*words, *filter(None, [" ".join(keys)])])


def _property(data: Any, path: tuple[str | int, ...]) -> str:
    entry = data["customProperties"][path[1]]
    name = entry.get("property") if isinstance(entry, dict) else None
    return name if name in ("training", "reading") else "customProperties"


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a contract file, for editors."""
    found = Document.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "title": "Data contract of a table"}

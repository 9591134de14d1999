"""CONTRIBUTING.md names files, symbols and commands: all of them must exist."""

import ast
import re
from pathlib import Path

import pytest

from local.settings import REPO
from penguins.training.estimators import ESTIMATORS

TEXT = (REPO / "CONTRIBUTING.md").read_text()
PROSE = re.sub(r"^ {4,}.*$", "", TEXT, flags=re.MULTILINE).replace("\n", " ")
PATH = r"`([\w.-]*(?:/[\w.-]*)+|[\w.-]+\.(?:py|toml|md|yaml|lock))`"
PATHS = sorted(set(re.findall(PATH, PROSE)))
SYMBOLS = sorted(
    {
        (path, symbol)
        for path, symbols in re.findall(rf"{PATH} +\(((?:`\w+`(?:, +)?)+)\)", PROSE)
        for symbol in re.findall(r"\w+", symbols)
    }
)


def defined(path: Path) -> set[str]:
    """Return the names that a module defines, also inside classes and functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def test_something_is_named() -> None:
    assert len(PATHS) > 30
    assert len(SYMBOLS) > 15


@pytest.mark.parametrize("path", PATHS)
def test_every_file_exists(path: str) -> None:
    assert (REPO / path).exists()


@pytest.mark.parametrize(("path", "symbol"), SYMBOLS)
def test_every_symbol_exists(path: str, symbol: str) -> None:
    assert symbol in defined(REPO / path)


def test_every_command_exists() -> None:
    targets = re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(), re.MULTILINE)
    commands = set(re.findall(r"\bmake ([a-z-]+)", TEXT))
    assert {"setup", "lint", "test", "test-fast"} <= commands <= set(targets)


def test_the_form_offers_every_estimator() -> None:
    tree = ast.parse((REPO / "plugins/penguins/airflow/form.py").read_text())  # not imported: Airflow takes seconds
    values = (node.value for node in ast.walk(tree) if isinstance(node, ast.AnnAssign) and node.value)
    assert tuple(ESTIMATORS) in [ast.literal_eval(value) for value in values if isinstance(value, ast.Tuple)]

"""The library stays usable without Airflow: one room imports it."""

import ast
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[3] / "plugins/penguins"


def imports(path: Path) -> set[str]:
    """Return the top-level packages that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_only_the_airflow_room_imports_airflow() -> None:
    importing = {path for path in LIBRARY.rglob("*.py") if "airflow" in imports(path)}
    assert importing
    assert {path.parent for path in importing} == {LIBRARY / "airflow"}

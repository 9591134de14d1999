"""The walls between the rooms, as `tool.importlinter` in pyproject.toml declares them."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.settings import REPO


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Check the imports of the packages in `root`."""
    command = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    environment = os.environ | {"PYTHONPATH": f"{root}:{root / 'plugins'}"}
    arguments = [sys.executable, "-c", command, "--no-cache"]
    return subprocess.run(arguments, cwd=root, env=environment, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages, to plant imports in."""
    root = tmp_path_factory.mktemp("copy")
    for name in ("contract", "plugins", "serving", "shipper"):
        shutil.copytree(REPO / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(REPO / "pyproject.toml", root)
    return root


def test_no_import_crosses_a_wall() -> None:
    checked = lint_imports(REPO)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("module", "line", "wall"),
    [
        ("serving/metrics.py", "import penguins.settings", "The service imports neither"),
        ("serving/inference/engines.py", "import mlflow", "The service imports neither"),
        ("serving/settings.py", "import local.settings", "The service imports neither"),
        ("plugins/penguins/settings.py", "import local.settings", "The pipeline doesn't import the service"),
        ("plugins/penguins/settings.py", "import serving.settings", "The pipeline doesn't import the service"),
        ("contract/digests.py", "import serving.settings", "The format between them imports neither"),
        ("shipper/spool.py", "import serving.settings", "The shipper imports neither"),
        ("shipper/spool.py", "import penguins.settings", "The shipper imports neither"),
        ("serving/settings.py", "import shipper.settings", "The service imports neither"),
        ("serving/settings.py", "import psycopg", "The service imports neither"),
        ("plugins/penguins/ui/overview.py", "import airflow.sdk", "only its room `airflow` imports Airflow"),
        ("plugins/penguins/data/tables.py", "import penguins.training.grid", "The rooms of the pipeline"),
        ("plugins/penguins/scoring/tables.py", "import penguins.monitoring.labels", "The rooms of the pipeline"),
        ("serving/codecs/csv.py", "import serving.api.body", "The rooms of the service"),
        ("serving/inference/engines.py", "import serving.api.body", "The rooms of the service"),
        ("serving/logs.py", "import serving.api.body", "The rooms of the service"),
    ],
)
def test_an_import_across_a_wall_is_found(copy: Path, module: str, line: str, wall: str) -> None:
    path = copy / module
    content = path.read_text()
    path.write_text(f"{content}\n{line}\n")
    checked = lint_imports(copy)
    path.write_text(content)
    assert checked.returncode == 1
    assert any(wall in found and "BROKEN" in found for found in checked.stdout.splitlines())


@pytest.mark.parametrize("path", [*(REPO / "dags").glob("*.py"), REPO / "plugins" / "penguins_plugin.py"], ids=str)
def test_files_outside_the_packages_import_no_service(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert "airflow" in imported
    assert not imported & {"serving", "local", "ops"}


NAMES = r"bill_|flipper|body_mass|island|\bsex\b|adelie|chinstrap|gentoo|biscoe|torgersen"
"""Names of the penguins' features, other columns and species: a contract has them, and no code."""


EXAMPLES = {"README.md", "CHANGELOG.md", "benchmarks", "contracts", "docs", "examples", "notebooks", "tests"}
"""Folders that may be about the penguins: the contract, and those that show or measure the product by them."""


def test_no_name_of_a_data_set_is_in_the_product() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, check=True, capture_output=True, text=True).stdout
    product = [path for path in map(Path, listed.split("\0")[:-1]) if path.parts[0] not in EXAMPLES]
    assert {path.parts[0] for path in product} >= {"contract", "init-db", "plugins", "serving", "Makefile"}
    found = {
        f"{path}: {match[0]}"
        for path in product
        for match in re.finditer(NAMES, (REPO / path).read_text(errors="replace"), re.IGNORECASE)
    }
    assert not found

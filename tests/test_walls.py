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


PLANTED = [
    ("serving/metrics.py", "penguins.settings", "The service imports neither"),
    ("serving/inference/engines.py", "mlflow", "The service imports neither"),
    ("serving/settings.py", "local.settings", "The service imports neither"),
    ("plugins/penguins/settings.py", "local.settings", "The pipeline doesn't import the service"),
    ("plugins/penguins/settings.py", "serving.settings", "The pipeline doesn't import the service"),
    ("contract/digests.py", "serving.settings", "The format between them imports neither"),
    ("shipper/spool.py", "serving.settings", "The shipper imports neither"),
    ("shipper/spool.py", "penguins.settings", "The shipper imports neither"),
    ("serving/settings.py", "shipper.settings", "The service imports neither"),
    ("backup/stack.py", "local.settings", "Backups know a stack by its addresses only"),
    ("serving/settings.py", "psycopg", "The service imports neither"),
    ("plugins/penguins/ui/overview.py", "airflow.sdk", "In the pipeline only its room `airflow` imports Airflow"),
    ("plugins/penguins/data/tables.py", "penguins.training.grid", "The rooms of the pipeline"),
    ("plugins/penguins/scoring/tables.py", "penguins.monitoring.labels", "The rooms of the pipeline"),
    ("serving/codecs/csv.py", "serving.api.body", "The rooms of the service"),
    ("serving/inference/engines.py", "serving.api.body", "The rooms of the service"),
    ("serving/logs.py", "serving.api.body", "The rooms of the service"),
]
"""Imports that cross a wall: a file, the module that it must not import, and the name of the wall."""


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Text that is said of each broken wall of a copy of the packages with all of `PLANTED`."""
    root = tmp_path_factory.mktemp("copy")
    for name in ("backup", "contract", "plugins", "serving", "shipper"):
        shutil.copytree(REPO / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(REPO / "pyproject.toml", root)
    for path, module, _ in PLANTED:
        with (root / path).open("a") as file:
            file.write(f"\nimport {module}\n")
    checked = lint_imports(root)
    assert checked.returncode == 1
    _, *parts = re.split(r"^(.+)\n-+\n", checked.stdout.partition("Broken contracts\n")[2], flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize(("path", "module", "wall"), PLANTED)
def test_an_import_across_a_wall_is_found(broken: dict[str, str], path: str, module: str, wall: str) -> None:
    importer = path.removeprefix("plugins/").removesuffix(".py").replace("/", ".")
    package = module if module.startswith(("contract", "penguins", "serving", "shipper")) else module.split(".")[0]
    (said,) = (text for name, text in broken.items() if name.startswith(wall))
    assert f"{importer} -> {package} (l." in said


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


EXAMPLES = {"README.md", "CHANGELOG.md", "contracts", "docs", "examples", "tests"}
"""Files and folders that may be about the penguins: the contract, what is written about it, and the tests."""


def test_no_name_of_a_data_set_is_elsewhere() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, check=True, capture_output=True, text=True).stdout
    checked = [path for path in map(Path, listed.split("\0")[:-1]) if path.parts[0] not in EXAMPLES]
    assert {path.parts[0] for path in checked} >= {"benchmarks", "contract", "notebooks", "plugins", "Makefile"}
    found = {
        f"{path}: {match[0]}"
        for path in checked
        for match in re.finditer(NAMES, (REPO / path).read_text(errors="replace"), re.IGNORECASE)
    }
    assert not found

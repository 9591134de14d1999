"""The examples: their contracts are what is drafted from their tables."""

from pathlib import Path

import pytest

from examples.contracts import tables
from local.settings import REPO
from penguins.contracts.draft import draft

FOLDER = REPO / "examples" / "contracts"


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tables of the examples."""
    return tables.write(tmp_path_factory.mktemp("tables"))


@pytest.mark.parametrize("name", tables.TARGETS)
def test_the_contract_is_the_draft_of_the_table(paths: dict[str, Path], name: str) -> None:
    drafted = draft(str(paths[name]), tables.TARGETS[name], folder=FOLDER)
    assert drafted.name == name
    assert (FOLDER / f"{name}.yaml").read_text() == drafted.text.replace(str(paths[name]), f"/data/{name}.csv")


def test_every_contract_has_a_table() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(tables.TARGETS)

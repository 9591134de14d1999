"""A look at a source before it is loaded, as `make check` shows it."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from contract.manifest import Example, Feature, Manifest, Points
from contract.schema import Column
from penguins import source_check
from penguins.data.checking import check_source
from penguins.data.dataset import Dataset
from penguins.errors import UserError
from penguins.registry import candidate_versions
from penguins.registry.candidate_versions import LoadedCandidate
from penguins.training.tracking import client
from tests.penguins import ours
from tests.penguins.conftest import logged_candidate
from tests.penguins.data.contracts import made
from tests.penguins.test_commands import Command, command, program

__all__ = ["command", "program"]

SIZE = Column(name="size", type="number", required=False)
COLOUR = Column(name="colour", type="string", categories=("red", "blue", "green"))
KIND = Column(name="kind", type="string", role="target", categories=("Apple", "Pear", "Plum"))
FRUIT = made(KIND, SIZE, COLOUR, Column(name="ripe", type="boolean"))

TRAINED = Manifest(
    contract_version=2,
    name="fruit",
    target=KIND.model_copy(update={"categories": ("Apple", "Pear", "Fig")}),
    features=[
        Feature(**dict(SIZE), min=1.0, max=5.0),
        Feature(**dict(COLOUR.model_copy(update={"categories": ("red", "blue")}))),
        Feature(name="weight", type="number", min=0.0, max=1.0),
    ],
    example=Example(inputs=[[1, 0, 0]], labels=[0], probabilities=[[1, 0, 0]]),
    scatter=Points(inputs=[[1, 0, 0], [5, 0, 1], [None, 1, 0], [2, 2, 0]], labels=[0, 0, 1, 2]),
)


@pytest.fixture
def out() -> Console:
    return Console(file=io.StringIO(), width=200, markup=False, emoji=False, highlight=False)


def cells(out: Console) -> list[list[str]]:
    """Return what was printed, a list of its columns for each line."""
    lines = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return [re.split(r" {2,}", line.strip()) for line in lines if line.strip()]


def test_columns_and_classes_are_compared_with_those_of_a_version(out: Console, tmp_path: Path) -> None:
    path = tmp_path / "fruit.csv"
    rows = "Apple,1,red,yes\nApple,,green,no\nPear,7,red,yes\nPear,2,red,yes\nPlum,2,blue,yes\nPlum,2,blue,no\n"
    path.write_text("kind,size,colour,ripe\n" + rows)
    source_check.compare(out, check_source(str(path), FRUIT), TRAINED, "version 3")
    shown = cells(out)
    assert shown[1] == ["column", "missing", "values", "missing in version 3", "values in version 3"]
    assert shown[2:6] == [
        ["size", "16.7%", "1 to 7", "25.0%", "1 to 5", "outside of the range"],
        ["colour", "0.0%", "red (3), blue (2), green (1)", "25.0%", "red, blue", "new: green"],
        ["ripe", "0.0%", "True (4), False (2)", "is new"],
        ["weight", "is gone"],
    ]
    assert shown[7:] == [
        ["kind", "rows", "share", "share in version 3"],
        ["Apple", "2", "33.3%", "50.0%"],
        ["Pear", "2", "33.3%", "25.0%"],
        ["Plum", "2", "33.3%", "is new"],
        ["Fig", "25.0%, is gone"],
    ]


def test_rejected_rows_are_counted_by_column_with_the_first_reason(out: Console, tmp_path: Path) -> None:
    path = tmp_path / "fruit.csv"
    text = "kind,size,colour,ripe\n" + "Apple,1,red,yes\nPear,2,red,no\nPlum,2,red,no\n" * 30
    path.write_text(text + "Apple,\x1b[31mbig,red,yes\nPear,1,pink,yes\nPear,1,pink,yes\nPear,1,red,\nPear\n")
    source_check.run(out, FRUIT, str(path), None)
    shown = cells(out)
    said = f"90 of 95 rows of {path} can be used; 1 lack a required value; 4 would be rejected."
    assert shown[0] == [said]
    assert shown[3] == ["preprocess", "colour", "2", "row 92: unknown colour 'pink', known are red, blue, green"]
    assert ["load_raw", "size", "1", "row 91: size: '\\x1b[31mbig' is not a number"] in shown
    assert ["load_raw", "(row)", "1", "row 95: 1 columns instead of 4: 'Pear'"] in shown
    assert shown[-1] == [f"{path} can be loaded and trained on."]


def test_a_source_that_cant_be_trained_on_is_an_error(out: Console, tmp_path: Path) -> None:
    path = tmp_path / "fruit.csv"
    path.write_text("kind,size,colour,ripe\nApple,1,red,yes\nApple,1,red,yes\nPear,1,red,no\nPear,2,red,no\n")
    with pytest.raises(UserError, match=r"fruit.csv can't be trained on: it has too few rows of Plum \(0\)"):
        source_check.run(out, FRUIT, str(path), None)
    with pytest.raises(UserError, match="The contract fruit has no source. Give one: SOURCE=data.csv"):
        source_check.run(out, FRUIT, "", None)


@pytest.mark.usefixtures("mlflow")
def test_the_command_compares_with_production(
    command: Command, program: Command, data: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "penguins.csv"
    original = Path(__import__("palmerpenguins").__file__).parent / "data" / "penguins.csv"
    path.write_text(",more\n".join(original.read_text().replace(",59.6,", ",99,").splitlines()) + ",more\n")
    shown = command("check", str(path)).stdout
    assert "342 of 344 rows" in shown
    assert "version" not in shown
    version = candidate_versions.register(LoadedCandidate.load(logged_candidate(data, "run"), ours.model()), data)
    client().set_registered_model_alias(ours.model(), "production", version.version)
    done = program("check", str(path))
    assert re.search(r"bill_length_mm +0\.0% +32\.1 to 99 +0\.0% +\S+ to \S+ +outside of the range", done.stdout)
    assert "share in version 1" in done.stdout
    assert re.search(r"Chinstrap +68 +19\.9% +(19|20)\.\d%", done.stdout)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, f"{path} can be loaded and trained on.")
    assert "ignored the columns 'more'" in done.stderr

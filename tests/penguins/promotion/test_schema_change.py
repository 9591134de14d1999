"""Differences between two contracts that count for their models, with columns of every kind."""

from typing import Any

import pytest

from contract.manifest import Contract, Feature, Manifest
from contract.schema import Column, DataContract
from contract.training import Training
from local.settings import REPO
from penguins import contracts
from penguins.promotion.schema_change import describe_change

COLUMNS = (
    Column(name="od280/od315", type="number", unit="mm"),
    Column(name="is 100%", type="boolean", required=False),
    Column(name="cul'tivar", type="string", categories=("a", 'b "c"', "🍷")),
    Column(name="grade", type="integer", categories=(1, 2)),
    Column(name="row", type="integer", role="id"),
    Column(name="wine", type="string", role="target", categories=("red", "white")),
)


def contract(columns: tuple[Column, ...]) -> DataContract:
    return DataContract(
        name="wine", columns=columns, training=Training(registered_model="wine", experiment="wine", min_accuracy=0)
    )


def model_of(made: DataContract) -> Contract:
    features = [Feature(**dict(column)) for column in made.features]
    return Contract(name=made.name, target=made.target, features=features)


def changed(changed_name: str, /, **values: Any) -> tuple[Column, ...]:
    """Return the columns with other values for one of them."""
    return tuple(column.model_copy(update=values) if column.name == changed_name else column for column in COLUMNS)


@pytest.mark.parametrize(
    ("columns", "change"),
    [
        (COLUMNS, ""),
        (changed("row", type="string", role="ignored"), ""),
        (changed("od280/od315", title="Dilution", decimals=2, type="integer"), ""),
        (COLUMNS[1:], "no column any more: 'od280/od315'"),
        ((Column(name="ash", type="number"), *COLUMNS), "new column: 'ash'"),
        ((COLUMNS[1], COLUMNS[0], *COLUMNS[2:]), "the columns have another order"),
        (changed("od280/od315", unit="cm"), "'od280/od315' is in cm, before in mm"),
        (changed("od280/od315", required=False), "'od280/od315' may be missing"),
        (changed("is 100%", type="number"), "'is 100%' is a number, before a boolean"),
        (
            changed("grade", type="string", categories=("1", "2")),
            "'grade' is a category of the type string, before a category of the type integer",
        ),
        (changed("grade", categories=(2, 1)), "the categories of 'grade' have another order"),
        (
            changed("cul'tivar", categories=("a", "🍷", "d, e")),
            """new category of "cul'tivar": 'd, e'; no category of "cul'tivar" any more: 'b "c"'""",
        ),
        (changed("wine", categories=("red", "white", "rosé")), "new class: 'rosé'"),
        (changed("wine", categories=("white", "red")), "the classes have another order"),
        (changed("wine", name="colour"), "the target is 'colour', before 'wine'"),
        (
            (*(Column(name=f"x{number}", type="number") for number in range(9)), *COLUMNS),
            "new column: 'x0', 'x1', 'x2', 'x3', 'x4', 'x5' and 3 more",
        ),
    ],
)
def test_a_change_is_described(columns: tuple[Column, ...], change: str) -> None:
    assert describe_change(model_of(contract(COLUMNS)), contract(columns)) == change


def test_the_penguins_of_format_1_are_those_of_today() -> None:
    manifest = Manifest.model_validate_json((REPO / "tests/contract/version_1/inference/contract.json").read_bytes())
    assert describe_change(manifest.contract, contracts.find(contracts.DEFAULT)) == ""


def test_of_many_changes_some_are_named() -> None:
    before = tuple(Column(name=f"x{number}", type="number") for number in range(9)) + COLUMNS[-1:]
    now = tuple(column.model_copy(update={"type": "boolean"}) for column in before[:-1]) + COLUMNS[-1:]
    found = describe_change(model_of(contract(before)), contract(now))
    assert found.startswith("'x0' is a boolean, before a number; ")
    assert found.endswith("; 3 more changes")

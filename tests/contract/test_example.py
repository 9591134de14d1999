from typing import Any

import pytest

from contract.example import example_row
from contract.schema import Bounds, Column, DataContract
from contract.training import Training


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ({"type": "number", "examples": (39.1, 40)}, 39.1),
        ({"type": "number"}, 0),
        ({"type": "number", "bounds": Bounds(exclusive_minimum=0)}, 1),
        ({"type": "number", "bounds": Bounds(maximum=-5)}, -6),
        ({"type": "number", "bounds": Bounds(exclusive_minimum=0), "plausible": Bounds(minimum=10, maximum=15)}, 12.5),
        ({"type": "integer", "bounds": Bounds(minimum=1, maximum=4)}, 2),
        ({"type": "number", "bounds": Bounds(minimum=8), "plausible": Bounds(minimum=0, maximum=10)}, 9),
        ({"type": "number", "bounds": Bounds(minimum=8), "plausible": Bounds(maximum=2)}, 9),
        ({"type": "number", "bounds": Bounds(minimum=1_000_000.5, maximum=1_000_001)}, 1_000_000.75),
        ({"type": "number", "bounds": Bounds(minimum=-1.5e308, maximum=1.5e308)}, 0),
        ({"type": "integer", "bounds": Bounds(exclusive_minimum=0, maximum=1)}, 1),
        ({"type": "integer", "bounds": Bounds(minimum=1, exclusive_maximum=2)}, 1),
        ({"type": "boolean"}, False),
        ({"type": "string", "categories": ('a "b"', "c")}, 'a "b"'),
        ({"type": "integer", "categories": (7, 8)}, 7),
    ],
)
def test_a_value_is_the_first_example_or_an_allowed_one(column: dict[str, Any], value: object) -> None:
    contract = DataContract(
        name="wine",
        columns=(
            Column(name="od280/od315", **column),
            Column(name="row", type="integer", role="id"),
            Column(name="wine", type="string", role="target", categories=("red", "white")),
        ),
        training=Training(registered_model="wine", experiment="wine", min_accuracy=0),
    )
    assert example_row(contract) == {"od280/od315": value}

import numpy as np
import pytest

from contract.encoding import decode, encode, to_matrix
from contract.schema import Column


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (Column(name="x", type="number"), [1.5, None, float("nan")], [1.5, np.nan, np.nan]),
        (Column(name="x", type="integer"), [3, -1], [3, -1]),
        (Column(name="x", type="boolean"), [True, False, None], [1, 0, 2]),
        (Column(name="x", type="string", categories=("b", "a")), ["a", "b", None], [1, 0, 2]),
        (Column(name="x", type="integer", categories=(7, 3, 5)), [3, 5, float("nan")], [1, 2, 3]),
    ],
)
def test_values_are_encoded(column: Column, values: list[object], expected: list[float]) -> None:
    np.testing.assert_array_equal(encode(column, values), expected)
    decoded = decode(column, expected)
    assert decoded == [None if value != value else value for value in values]
    assert list(map(type, decoded)) == [type(None) if value != value else type(value) for value in values]


def test_an_unknown_category_is_an_error() -> None:
    with pytest.raises(KeyError):
        encode(Column(name="x", type="string", categories=("a",)), ["A"])


def test_the_matrix_has_the_order_of_the_columns() -> None:
    found = to_matrix([np.array([1.0, 2.0]), np.array([0.1, np.nan])])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array([[1, 0.1], [2, np.nan]], dtype=np.float32))

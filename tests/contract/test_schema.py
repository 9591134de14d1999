import pytest
from pydantic import ValidationError

from contract.schema import Bounds, Column, DataContract
from contract.training import Training

TRAINING = Training(registered_model="grapes_rf", experiment="grapes", min_accuracy=0.5)


def contract(*columns: Column) -> DataContract:
    target = Column(name="label", type="integer", role="target", categories=(1, 2))
    return DataContract(name="grapes", columns=(target, *columns), training=TRAINING)


def test_the_columns_are_found_by_their_roles() -> None:
    row, red = Column(name="row", type="integer", role="id"), Column(name="is red", type="boolean")
    found = contract(row, red)
    assert (found.features, found.feature_names, found.others) == ((red,), ("is red",), (row,))
    assert (found.target.name, found.classes) == ("label", ("1", "2"))
    assert found.table("raw") == "grapes_raw"


def test_a_boolean_target_has_two_classes() -> None:
    target = Column(name="warnings", type="boolean", role="target")
    found = DataContract(name="grapes", columns=(target,), training=TRAINING)
    assert found.classes == ("false", "true")
    assert found.answer_key == "class"  # an answer has warnings of its own


def test_the_names_of_the_classes_have_a_key_of_their_own() -> None:
    target = Column(name="probability_red", type="string", role="target", categories=("red", "white"))
    found = DataContract(name="grapes", columns=(target,), training=TRAINING)
    assert found.answer_key == "class"  # a table of answers has a column probability_red
    other = target.model_copy(update={"categories": ("rosé", "white")})
    assert found.model_copy(update={"columns": (other,)}).answer_key == "probability_red"


def test_names_of_ours_give_way_to_those_of_the_table() -> None:
    assert contract().label_column == "label_"
    assert contract(Column(name="label_", type="number")).label_column == "label__"


@pytest.mark.parametrize(
    "bounds",
    [{"minimum": 2.0, "maximum": 1.0}, {"exclusive_minimum": 2.0, "maximum": 1.0}, {"minimum": float("nan")}],
)
def test_impossible_bounds_are_refused(bounds: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Bounds(**bounds)

"""The leaderboard and the plots, read back from the figures."""

from io import BytesIO

import pytest
from sklearn.dummy import DummyClassifier

from penguins.data.contract import FEATURE_NAMES, SPECIES
from penguins.data.dataset import Dataset
from penguins.training import plots
from tests.penguins.training.made_up import made_up_run
from tests.penguins.training.tables import MIXED, made_up

ACCURACIES = {(2, 1): 0.90, (2, None): 0.95, (5, 1): 0.95, (5, None): 0.85}
RUNS = [
    made_up_run({"n_estimators": trees, "max_depth": depth}, cv_accuracy_mean=accuracy, cv_log_loss_mean=1 / trees)
    for (trees, depth), accuracy in ACCURACIES.items()
]


def test_the_leaderboard_has_the_best_first() -> None:
    table = plots.leaderboard(RUNS)
    assert table["candidate"].tolist() == [
        "max_depth=1 n_estimators=5",
        "max_depth=null n_estimators=2",
        "max_depth=1 n_estimators=2",
        "max_depth=null n_estimators=5",
    ]


def test_the_heat_map_has_the_trees_across_and_every_accuracy() -> None:
    axes = plots.grid_heat_map(RUNS).axes[0]
    assert axes.get_xlabel() == "n_estimators"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "5"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["max_depth=1", "max_depth=None"]
    shown = {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axes.texts}
    assert shown == {(0, 0): "0.9000", (0, 1): "0.9500", (1, 0): "0.9500", (1, 1): "0.8500"}


def test_the_plots_of_many_classes_and_features_show_the_most_important() -> None:
    many = tuple(
        column.model_copy(update={"name": f"{column.name} ${number}$"}) for number in range(34) for column in MIXED
    )
    data = made_up(many[:200], 50, 600)
    constant = DummyClassifier(strategy="most_frequent").fit(data.features, data.labels)
    matrix, bars = plots.confusion_matrix(constant, data), plots.importances(constant, data)
    assert not matrix.axes[0].texts
    assert [label.get_text() for label in matrix.axes[0].get_xticklabels()] == list(data.contract.classes)
    assert matrix.axes[0].get_title() == "The best candidate on 120 held-out rows of made_up"
    assert len(bars.axes[0].patches) == 20
    assert bars.axes[0].get_title() == "Feature importances: the greatest 20 of 200"
    for figure in (matrix, bars):
        assert max(figure.get_size_inches()) < 16
        figure.savefig(BytesIO())


@pytest.fixture
def constant(data: Dataset) -> DummyClassifier:
    """A model that always answers Chinstrap."""
    return DummyClassifier(strategy="constant", constant=1).fit(data.features, data.labels)


def test_the_confusion_matrix_counts_the_hold_out(data: Dataset, constant: DummyClassifier) -> None:
    axes = plots.confusion_matrix(constant, data).axes[0]
    assert tuple(label.get_text() for label in axes.get_xticklabels()) == SPECIES
    counts = [int((data.labels[data.holdout] == label).sum()) for label in range(3)]
    shown = [int(text.get_text()) for text in axes.texts]
    assert shown == [0, counts[0], 0, 0, counts[1], 0, 0, counts[2], 0]


def test_a_feature_that_is_not_used_has_no_importance(data: Dataset, constant: DummyClassifier) -> None:
    axes = plots.importances(constant, data).axes[0]
    assert tuple(label.get_text() for label in axes.get_yticklabels()) == FEATURE_NAMES
    assert [bar.get_width() for bar in axes.patches] == [0] * 4

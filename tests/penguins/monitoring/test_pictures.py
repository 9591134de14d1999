"""The numbers and pictures of features that a verdict keeps."""

import json

import numpy as np
import pytest

from contract.encoding import Matrix
from contract.manifest import Feature
from penguins.monitoring import pictures
from penguins.monitoring.drift import judge
from penguins.monitoring.pictures import describe
from penguins.training.model_contracts import describe_contract
from tests.penguins.monitoring.windows import fresh, mixed
from tests.penguins.training.tables import MIXED, made_up

ALPHA = 1e-6


@pytest.fixture(scope="module")
def features() -> list[Feature]:
    return list(describe_contract(made_up(MIXED, rows=2500)).features)


def described(features: list[Feature], window: Matrix) -> dict[str, dict]:
    """Return the numbers of a window's features, as they come back from JSON."""
    baseline = mixed()
    found = describe(judge(baseline, window, ALPHA), features, baseline.reference, window)
    return {each["name"]: each for each in json.loads(json.dumps(found, allow_nan=False))["features"]}


def test_reference_and_window_are_counted_in_the_same_bins(features: list[Feature]) -> None:
    rows = fresh(500)
    found = described(features, rows)
    for place, feature in enumerate(features):
        counts, kind = found[feature.name]["counts"], found[feature.name]["kind"]
        present = ~np.isnan(rows[:, place])
        if kind == "number":
            assert sorted(counts["edges"]) == counts["edges"]
            assert len(counts["reference"]) == len(counts["window"]) == len(counts["edges"]) + 1
            assert sum(counts["window"]) == present.sum()
            low = (rows[:, place] < np.float32(counts["edges"][0])).sum()
            assert counts["window"][0] == low
        else:
            assert len(counts["reference"]) == len(counts["window"]) == len(counts["values"])
            assert sum(counts["window"]) + counts["others"][1] == len(rows)
            assert counts["values"][-1] is None


def test_a_category_that_was_never_seen_and_missing_values_are_counted(features: list[Feature]) -> None:
    rows = fresh(500)
    place = next(at for at, each in enumerate(features) if each.categories)
    number = next(at for at, each in enumerate(features) if each.is_numeric)
    rows[:, place] = len(features[place].categories or ()) + 5  # no code of this contract
    rows[:, number] = np.nan
    found = described(features, rows)
    unknown = found[features[place].name]
    assert unknown["counts"]["window"][-1] == 500
    assert unknown["aspects"]["values"]["drifted"]
    lost = found[features[number].name]
    assert lost["missing"]["window"] == 1.0
    assert lost["aspects"]["missing"]["drifted"]
    assert sum(lost["counts"]["window"]) == 0


def test_a_constant_feature_has_a_bin_of_its_own(features: list[Feature]) -> None:
    number = next(at for at, each in enumerate(features) if each.is_numeric)
    values = np.full(100, 7, np.float32)
    found = pictures._bins(values, np.array([6, 7, 7, 8], np.float32))
    assert (found["reference"], found["window"]) == ([0, 100, 0], [1, 2, 1])
    nothing = pictures._bins(np.full(3, np.nan, np.float32), values)
    assert (nothing["reference"], nothing["window"]) == ([0], [100])
    rows = fresh(40)
    rows[:, number] = 7
    assert described(features, rows)[features[number].name]["counts"]["window"].count(0) >= pictures.BINS - 2


def test_few_rows_have_counts_and_no_tests(features: list[Feature]) -> None:
    for count in (0, 1, 29):
        found = described(features, fresh(500)[:count])
        assert all(each["aspects"] == {} for each in found.values())
        assert {"window", "reference"} <= set(found[features[0].name]["counts"])


def test_of_many_features_those_that_moved_most_are_drawn(
    features: list[Feature], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MOST_DRAWN", 1)
    rows = fresh(500)
    moved = [at for at, each in enumerate(features) if each.is_numeric][-1]
    rows[:, moved] += 1000
    found = described(features, rows)
    assert [name for name, each in found.items() if "counts" in each] == [features[moved].name]
    assert len(found) == len(features)


def test_of_many_categories_the_frequent_ones_are_named(
    monkeypatch: pytest.MonkeyPatch, features: list[Feature]
) -> None:
    monkeypatch.setattr(pictures, "_MOST_VALUES", 2)
    place = next(at for at, each in enumerate(features) if each.categories and len(each.categories) > 2)
    counts = described(features, fresh(500))[features[place].name]["counts"]
    assert len(counts["values"]) == 2
    assert counts["others"][1] == 500 - sum(counts["window"])

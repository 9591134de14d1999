from typing import Any

import numpy as np
import pandas as pd
import pytest
from psycopg import Connection

from penguins.data.contract import FEATURE_NAMES, SPECIES
from penguins.data.dataset import Dataset, read_processed, split
from penguins.errors import UserError
from tests.penguins.data.contracts import narrowed


def test_reads_what_the_table_holds(connection: Connection[Any], data: Dataset) -> None:
    rows = read_processed(connection)
    columns = ", ".join((*FEATURE_NAMES, "label"))
    expected = connection.execute(f"SELECT {columns} FROM penguins_processed ORDER BY source_row").fetchall()  # noqa: S608
    assert [tuple(row) for row in rows.itertuples(index=False)] == expected
    assert set(data.features.dtypes) == {np.dtype("float64")}


def test_the_holdout_is_stratified_and_disjoint(data: Dataset) -> None:
    assert len(data.holdout) == 69
    assert sorted([*data.train, *data.holdout]) == list(range(342))
    share = np.bincount(data.labels[data.holdout]) / np.bincount(data.labels)
    assert share == pytest.approx([0.2] * 3, abs=0.01)


def test_the_same_rows_and_seed_give_the_same_split(connection: Connection[Any], data: Dataset) -> None:
    again = split(read_processed(connection), 0.2, 42)
    assert again.digest == data.digest
    assert (again.holdout == data.holdout).all()
    assert (split(read_processed(connection), 0.2, 43).holdout != data.holdout).any()


def test_a_row_stays_held_out_when_rows_are_added(data: Dataset) -> None:
    rows = pd.concat([data.features, pd.Series(data.labels, name="label")], axis=1)
    grown = pd.concat([rows, rows.sample(frac=0.1, random_state=1) * [1.01, 1.01, 1.01, 1.01, 1]], ignore_index=True)
    shuffled = grown.sample(frac=1, random_state=2).reset_index(drop=True)
    later = split(shuffled, 0.2, 42)
    learned = set(later.features.iloc[later.train].itertuples(index=False, name=None))
    judged = set(data.features.iloc[data.holdout].itertuples(index=False, name=None))
    assert len(judged & learned) <= 0.1 * len(judged)  # a new shuffle would give 80 %


def test_copies_stay_on_one_side_whatever_the_sign_of_a_zero() -> None:
    rows = pd.DataFrame({name: np.arange(60.0) for name in FEATURE_NAMES}).assign(label=np.arange(60) % 3)
    zeros = [rows.assign(**{FEATURE_NAMES[0]: zero}) for zero in (0.0, -0.0)]
    data = split(pd.concat(zeros, ignore_index=True), 0.2, 42)
    is_held_out = np.isin(np.arange(120), data.holdout)
    assert (is_held_out[:60] == is_held_out[60:]).all()


def test_one_changed_value_changes_the_digest(connection: Connection[Any], data: Dataset) -> None:
    rows = read_processed(connection)
    rows.loc[7, "body_mass_g"] += 0.1
    assert split(rows, 0.2, 42).digest != data.digest


def test_folds_are_made_of_training_rows_only(data: Dataset) -> None:
    folds = data.folds(5)
    assert len(folds) == 5
    assert sorted(np.concatenate([judge for _, judge in folds])) == sorted(data.train)
    for fit, judge in folds:
        assert not set(fit) & set(judge)
        assert not set(fit) & set(data.holdout)


def test_more_folds_than_rows_of_a_species_are_refused(data: Dataset) -> None:
    with pytest.raises(UserError, match="cv_folds=55: a species has only 54 training rows. Use at most 54"):
        data.folds(55)


@pytest.mark.usefixtures("data")
def test_a_missing_species_is_refused(connection: Connection[Any]) -> None:
    rows = read_processed(connection)
    with pytest.raises(UserError, match=r"too few rows of Gentoo \(0\)"):
        split(rows[rows["label"] != 2], 0.2, 42)


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_a_holdout_without_room_for_every_species_is_refused(data: Dataset, share: float) -> None:
    rows = pd.concat([data.features, pd.Series(data.labels, name="label")], axis=1)
    with pytest.raises(UserError, match=f"holdout_share={share} takes .* rows of Adelie"):
        split(rows, share, 42)


@pytest.mark.usefixtures("data")
def test_the_given_contract_decides_features_and_species(connection: Connection[Any]) -> None:
    contract = narrowed(2, SPECIES[:2])
    rows = read_processed(connection)
    found = split(rows[rows["label"] < 2], 0.2, 42, contract)
    assert tuple(found.features.columns) == FEATURE_NAMES[:2]
    assert set(found.labels) == {0, 1}

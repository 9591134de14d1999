"""The rows that both models are judged on, by the origin of the version in Production."""

import numpy as np
import pytest

from penguins.data.dataset import Dataset, split
from penguins.promotion.shared_rows import MIN_SHARED_ROWS, find_shared_rows
from penguins.training.tracking import split_of


def test_with_equal_data_and_split_every_row_counts(data: Dataset) -> None:
    rows, remark = find_shared_rows("1", {"data_digest": data.digest, "split": split_of(data)}, data)
    assert (rows.all(), len(rows), remark) == (True, 69, "")


def test_other_data_is_named(data: Dataset) -> None:
    rows, remark = find_shared_rows("1", {"data_digest": "of other data", "split": split_of(data)}, data)
    assert rows.all()
    assert remark == " (version 1 learned from other data, which may have had some of these rows)"


def test_with_another_split_only_the_rows_that_both_hold_out_count(data: Dataset) -> None:
    rows, remark = find_shared_rows("1", {"data_digest": data.digest, "split": "seed=1 holdout_share=0.6"}, data)
    other = split(data.features.assign(label=data.labels), 0.6, 1)
    assert MIN_SHARED_ROWS <= rows.sum() < 69
    assert data.holdout[rows].tolist() == np.intersect1d(data.holdout, other.holdout).tolist()
    assert remark == " (of 69 held-out rows those that the hold-out of version 1 has, too)"


@pytest.mark.parametrize("other", ["seed=1 holdout_share=0.2", "seed=1 holdout_share=2", "n/a", ""])
def test_with_too_few_shared_rows_every_row_counts_and_the_advantage_is_named(data: Dataset, other: str) -> None:
    rows, remark = find_shared_rows("1", {"data_digest": data.digest, "split": other}, data)
    assert rows.all()
    assert "version 1 was made with another hold-out: it may have learned some of them" in remark

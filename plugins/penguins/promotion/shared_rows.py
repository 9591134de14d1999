"""The rows of the hold-out that a version in Production hasn't learned from."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from penguins.data import dataset
from penguins.data.dataset import Dataset
from penguins.errors import UserError
from penguins.training.tracking import DATA_DIGEST, SPLIT, split_of

# With fewer rows that neither model learned from, both are judged on the whole hold-out.
MIN_SHARED_ROWS: Final = 30


def find_shared_rows(champion: str, tags: Mapping[str, str], data: Dataset) -> tuple[np.ndarray, str]:
    """Select the rows `[n]` of the hold-out that the champion hasn't learned from either.

    Args:
        champion: number of the version.
        tags: its recorded origin; empty for an unknown one.

    Returns:
        A mask of the rows, and a remark for the reason.
    """
    everything = np.ones(len(data.holdout), dtype=bool)
    other_data = ""
    if tags.get(DATA_DIGEST) != data.digest:
        other_data = f" (version {champion} learned from other data, which may have had some of these rows)"
    if tags.get(SPLIT) == split_of(data):
        return everything, other_data
    rows = _held_out_by(tags.get(SPLIT, ""), data)
    if rows.sum() >= MIN_SHARED_ROWS and len(np.unique(data.labels[data.holdout][rows])) == len(data.contract.classes):
        return rows, f" (of {len(rows)} held-out rows those that the hold-out of version {champion} has, too)"
    return everything, (
        f" (version {champion} was made with another hold-out: it may have learned some of them, "
        "which is to its advantage)"
    )


def _held_out_by(split: str, data: Dataset) -> np.ndarray:
    """Select the rows `[n]` of the hold-out that another split holds out as well.

    Args:
        split: the other split, from the tag of a version.
    """
    try:
        seed, share = (part.partition("=")[2] for part in split.split())
        rows = data.features.assign(**{data.contract.label_column: data.labels})
        other = dataset.split(rows, float(share), int(seed), data.contract)
    except (ValueError, UserError):  # no such tag, or it doesn't fit these rows
        return np.zeros(len(data.holdout), dtype=bool)
    return np.isin(data.holdout, other.holdout)

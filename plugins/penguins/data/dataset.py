"""The rows that a model learns from and the rows that it is judged on."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from contract.schema import DataContract
from penguins.data.contract import or_penguins
from penguins.data.lineage import SourceFacts
from penguins.data.processed import read_processed
from penguins.errors import UserError

__all__ = ["Dataset", "Fold", "read_processed", "split"]

log = logging.getLogger(__name__)

MANY_COPIES: Final = 0.05  # share of rows that are copies of others, from which on the log warns
_APART: Final = "copies of a row are learned from and judged on, so scores are too good"

_ALL: Final = slice(None)

Fold = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Dataset:
    """The processed rows, split into a part to learn from and a hold-out.

    The values of a row decide whether the row is held out (see `split`). So a row that one version was judged on
    stays held out for later versions, also when rows were added, and copies of a row are on one side
    unless a class has nothing else.

    Attributes:
        features: float64 `[n, features]`, columns in the order of the contract, categories and booleans as codes.
        labels: int64 `[n]`, positions in `contract.classes`.
        train, holdout: int64 positions of the rows of either part.
        digest: sha256 of features and labels, hex.
        seed, holdout_share: arguments of the split.
        contract: features and classes of the rows.
        source: facts about the source that the rows come from, None if they aren't known.
        production_rows: number of rows that come from the prediction log instead: the first ones.
    """

    features: pd.DataFrame
    labels: np.ndarray
    train: np.ndarray
    holdout: np.ndarray
    digest: str
    seed: int
    holdout_share: float
    contract: DataContract
    source: SourceFacts | None = None
    production_rows: int = 0

    def seen(self, rows: np.ndarray | slice = _ALL) -> pd.DataFrame:
        """Return the features of rows as models see them in the service: float32.

        Otherwise a model could learn from, and be judged by, digits that it will never see again, such as the seconds
        of a time.
        """
        return self.features.iloc[rows].astype(np.float32)

    def folds(self, count: int) -> list[Fold]:
        """Cut stratified cross-validation folds of the training part, as positions in the whole; 0 gives none.

        Copies of a row are in one fold, unless a class has too few different rows.

        Raises:
            UserError: a class has fewer training rows than there are folds.
        """
        if count == 0:
            return []
        from sklearn.model_selection import StratifiedKFold  # takes a second, and most callers cut no folds

        labels = self.labels[self.train]
        fewest = int(np.bincount(labels, minlength=len(self.contract.classes)).min())
        if count > fewest:
            name = self.contract.target.name
            raise UserError(f"cv_folds={count}: a {name} has only {fewest} training rows. Use at most {fewest} folds.")
        hashes = _hash(self.features, self.labels, 0)[self.train]
        original_of, _ = pd.factorize(hashes)
        originals = self.train[~pd.Series(hashes).duplicated().to_numpy()]
        if count > np.bincount(self.labels[originals], minlength=len(self.contract.classes)).min():
            log.warning("a %s has fewer different rows than there are folds: %s", self.contract.target.name, _APART)
            originals, original_of = self.train, np.arange(len(self.train))
        fold_of = np.empty(len(originals), dtype=np.int64)
        splitter = StratifiedKFold(count, shuffle=True, random_state=self.seed)
        for number, (_, judge) in enumerate(splitter.split(originals, self.labels[originals])):
            fold_of[judge] = number
        fold_of = fold_of[original_of]
        return [(self.train[fold_of != number], self.train[fold_of == number]) for number in range(count)]


def split(rows: pd.DataFrame, holdout_share: float, seed: int, contract: DataContract | None = None) -> Dataset:
    """Hold out, of each class, the rows with the smallest hashes.

    Args:
        rows: as `read_processed` returns them.
        holdout_share: share of the rows to judge models on (between 0 and 1).
        seed: part of what is hashed, so that another seed holds out other rows.

    Raises:
        UserError: a class is absent, or too rare to be in both parts.
    """
    contract = or_penguins(contract)
    features = rows[list(contract.feature_names)]
    labels = rows[contract.label_column].to_numpy(dtype=np.int64)
    _check_classes(labels, contract)
    hashes = _hash(features, labels, seed)
    held_out = np.zeros(len(rows), dtype=bool)
    for label, name in enumerate(contract.classes):
        members = np.flatnonzero(labels == label)
        chosen = _smallest(hashes[members], round(holdout_share * len(members)), name)
        if not 0 < chosen.sum() < len(members):
            raise UserError(
                f"holdout_share={holdout_share} takes {chosen.sum()} of the {len(members)} rows of {name}: "
                "at least one must be held out, and one left to learn from."
            )
        held_out[members[chosen]] = True
    train, holdout = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    data = Dataset(features, labels, train, holdout, _digest(features, labels), seed, holdout_share, contract)
    _warn_of_copies(len(pd.unique(hashes)), len(rows), contract)
    return data


def _hash(features: pd.DataFrame, labels: np.ndarray, seed: int) -> np.ndarray:
    """Hash the values of each row, uint64 `[n]`.

    The names of the columns don't count, nor, as pandas hashes, does the sign of a zero.
    """
    numbered = features.set_axis(range(features.shape[1]), axis=1)
    return np.asarray(pd.util.hash_pandas_object(numbered.assign(label=labels, seed=seed), index=False))


def _smallest(hashes: np.ndarray, count: int, name: str) -> np.ndarray:
    """Select the `count` smallest hashes of a class and their copies, but not all rows.

    Args:
        name: of the class, for the log.
    """
    chosen = np.zeros(len(hashes), dtype=bool)
    if not 0 < count < len(hashes):
        return chosen if count == 0 else ~chosen
    order = np.argsort(hashes, kind="stable")
    limit = hashes[order[count - 1]]
    for together in (hashes <= limit, hashes < limit):
        if 0 < together.sum() < len(hashes):
            return np.asarray(together)
    log.warning("all rows of %s are copies of one: %s", name, _APART)
    chosen[order[:count]] = True
    return chosen


def _warn_of_copies(different: int, total: int, contract: DataContract) -> None:
    copies = total - different
    if copies > MANY_COPIES * total:
        log.warning(
            "%s of the %s rows of %s (%.0f%%) are copies of others: a model is judged on fewer different rows than "
            "their number says. Copies stay on one side of the hold-out and of the folds.",
            f"{copies:,}",
            f"{total:,}",
            contract.table("processed"),
            100 * copies / total,
        )


def _check_classes(labels: np.ndarray, contract: DataContract) -> None:
    counts = np.bincount(labels, minlength=len(contract.classes))
    rare = [f"{contract.classes[label]} ({count})" for label, count in enumerate(counts) if count < 2]
    if rare:
        raise UserError(
            f"{contract.table('processed')} has too few rows of {', '.join(rare)}: at least 2 of each "
            f"{contract.target.name} are needed."
        )


def _digest(features: pd.DataFrame, labels: np.ndarray) -> str:
    values: Sequence[np.ndarray] = (features.to_numpy(dtype=np.float64), labels)
    digest = hashlib.sha256(",".join(features.columns).encode())
    for array in values:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()

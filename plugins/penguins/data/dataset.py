"""The rows that a model learns from and the rows that it is judged on."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.csv
from psycopg import Connection, sql

from contract.schema import DataContract
from penguins.data.contract import PENGUINS
from penguins.data.lineage import SourceFacts
from penguins.data.runs import PROCESSED, Run, find_table
from penguins.errors import UserError

Fold = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Dataset:
    """The processed rows, split into a part to learn from and a hold-out.

    The values of a row decide whether the row is held out (see `split`). So a row that one version was judged on
    stays held out for later versions, also when rows were added.

    Attributes:
        features: float64 `[n, 4]`, columns in the order of the contract.
        labels: int64 `[n]`, positions in `contract.classes`.
        train, holdout: int64 positions of the rows of either part.
        digest: sha256 of features and labels, hex.
        seed, holdout_share: arguments of the split.
        contract: features and species of the rows.
        source: facts about the source that the rows come from, None if they aren't known.
    """

    features: pd.DataFrame
    labels: np.ndarray
    train: np.ndarray
    holdout: np.ndarray
    digest: str
    seed: int
    holdout_share: float
    contract: DataContract = PENGUINS
    source: SourceFacts | None = None

    def folds(self, count: int) -> list[Fold]:
        """Cut stratified cross-validation folds of the training part, as positions in the whole; 0 gives none.

        Raises:
            UserError: a species has fewer training rows than there are folds.
        """
        if count == 0:
            return []
        from sklearn.model_selection import StratifiedKFold  # takes a second, and most callers cut no folds

        fewest = int(np.bincount(self.labels[self.train]).min())
        if count > fewest:
            raise UserError(f"cv_folds={count}: a species has only {fewest} training rows. Use at most {fewest} folds.")
        splitter = StratifiedKFold(count, shuffle=True, random_state=self.seed)
        split = splitter.split(self.train, self.labels[self.train])
        return [(self.train[fit], self.train[judge]) for fit, judge in split]


def read_processed(
    connection: Connection[Any], contract: DataContract = PENGUINS, run: Run | None = None
) -> pd.DataFrame:
    """Read the table penguins_processed of a run: the features (float64) and `label`, ordered by source row.

    Args:
        run: None for the published table.

    Raises:
        UserError: the run's table was dropped.
    """
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in (*contract.feature_names, "label"))
    text = io.BytesIO()
    with connection.transaction(), connection.cursor() as cursor:
        statement = sql.SQL("COPY (SELECT {} FROM {} ORDER BY source_row) TO STDOUT (FORMAT csv, HEADER)").format(
            columns, find_table(connection, PROCESSED, run)
        )
        with cursor.copy(statement) as copy:
            for block in copy:
                text.write(block)
    text.seek(0)
    types = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(contract.feature_names, "float64"))
    rows: pd.DataFrame = pyarrow.csv.read_csv(text, convert_options=types).to_pandas()
    return rows


def split(rows: pd.DataFrame, holdout_share: float, seed: int, contract: DataContract = PENGUINS) -> Dataset:
    """Hold out, of each species, the rows with the smallest hashes.

    Args:
        rows: as `read_processed` returns them.
        holdout_share: share of the rows to judge models on (between 0 and 1).
        seed: part of what is hashed, so that another seed holds out other rows.

    Raises:
        UserError: a species is absent, or too rare to be in both parts.
    """
    features = rows[list(contract.feature_names)]
    labels = rows["label"].to_numpy(dtype=np.int64)
    _check_species(labels, contract)
    hashes = pd.util.hash_pandas_object(features.assign(label=labels, seed=seed), index=False).to_numpy()
    held_out = np.zeros(len(rows), dtype=bool)
    for label, species in enumerate(contract.classes):
        members = np.flatnonzero(labels == label)
        count = round(holdout_share * len(members))
        if not 0 < count < len(members):
            raise UserError(
                f"holdout_share={holdout_share} takes {count} of the {len(members)} rows of {species}: "
                "at least one must be held out, and one left to learn from."
            )
        held_out[members[np.argsort(hashes[members], kind="stable")[:count]]] = True
    train, holdout = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    return Dataset(features, labels, train, holdout, _digest(features, labels), seed, holdout_share, contract)


def _check_species(labels: np.ndarray, contract: DataContract) -> None:
    counts = np.bincount(labels, minlength=len(contract.classes))
    rare = [f"{contract.classes[label]} ({count})" for label, count in enumerate(counts) if count < 2]
    if rare:
        raise UserError(
            f"penguins_processed has too few rows of {', '.join(rare)}: at least 2 of each species are needed."
        )


def _digest(features: pd.DataFrame, labels: np.ndarray) -> str:
    values: Sequence[np.ndarray] = (features.to_numpy(dtype=np.float64), labels)
    digest = hashlib.sha256(",".join(features.columns).encode())
    for array in values:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()

"""The version that a challenger is judged against: the champion, or the last sound one before it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd
from mlflow.entities.model_registry import ModelVersion

from penguins.data.dataset import Dataset
from penguins.errors import UserError
from penguins.promotion.schema_change import describe_change
from penguins.registry import model_versions
from penguins.registry.recorded_contracts import read_contract

NAMED: Final = 3  # number of broken versions that a remark gives the reasons of; tags have a limit


class Classifier(Protocol):
    """A model that predicts labels, such as a classifier of scikit-learn."""

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        """Predict labels `[n]` for rows `[n, features]`."""


@dataclass(frozen=True)
class Opponent:
    """A version that can be judged, and its answers `[n]` for the hold-out."""

    version: ModelVersion
    answers: np.ndarray


class SchemaChangedError(Exception):
    """A version has another contract than the data set, so the answers of its model can't be compared.

    Attributes:
        change: description of what differs.
    """

    def __init__(self, version: ModelVersion, change: str) -> None:
        super().__init__(f"version {version.version}: {change}")
        self.version = version
        self.change = change


def find_opponent(versions: Iterable[ModelVersion], data: Dataset) -> tuple[Opponent | None, str]:
    """Find the first version that can be judged.

    Returns:
        The opponent, if any, and a remark that names the versions before it and why they can't be judged.

    Raises:
        SchemaChangedError: the first version whose files are sound has another contract.
    """
    broken: list[str] = []
    for version in versions:
        try:
            files = model_versions.check_files(version)
            contract = read_contract(files)
            # Before the model: one that can't be loaded any more must not hide that its contract is another one.
            change = describe_change(contract, data.contract) if contract else ""
            if not change:
                model = model_versions.unpickle(model_versions.model_id(version), files)
                return Opponent(version, predict_holdout(model, data)), _describe(broken)
        except UserError as error:
            broken.append(f"version {version.version} can't be judged ({error})")
        else:
            raise SchemaChangedError(version, change)
    return None, _describe(broken)


def predict_holdout(model: Any, data: Dataset) -> np.ndarray:
    """Predict the labels `[n]` of the hold-out.

    Raises:
        MemoryError: the machine has too little memory at the moment.
        UserError: the model can't predict.
    """
    try:
        return np.asarray(model.predict(data.seen(data.holdout)))
    except MemoryError:  # not an error of the model: a retry may succeed
        raise
    except Exception as error:  # libraries and pickles of other versions can raise any error
        raise UserError(f"it can't predict: {type(error).__name__}: {error}") from error


def _describe(broken: list[str]) -> str:
    more = [f"{len(broken) - NAMED} more can't be judged"] if len(broken) > NAMED else []
    return "; ".join(broken[:NAMED] + more)

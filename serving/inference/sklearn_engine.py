"""The engine for versions registered by hand. Importing this module imports scikit-learn."""

import pickle
import warnings
from typing import Any

import numpy as np
import sklearn
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier

from contract.manifest import Contract
from serving.inference.blocks import Labels, Probabilities, Rows, in_blocks
from serving.inference.contract import SklearnFlavor
from serving.registry.refusals import Code, RefusedError

# Models fitted with a DataFrame know its column names, and would warn at each array without them.
# `_check_model` has compared them with ours.
warnings.filterwarnings("ignore", message="X does not have valid feature names", category=UserWarning)


ROW_BY_ROW = (RandomForestClassifier, ExtraTreesClassifier, GradientBoostingClassifier)
"""Classifiers that compute each row by itself."""


class SklearnEngine:
    """A scikit-learn classifier, as MLflow pickled it."""

    name = "scikit-learn"

    def __init__(self, content: bytes, flavor: SklearnFlavor, contract: Contract) -> None:
        """Unpickle verified bytes. Unpickling runs code of their author.

        Raises:
            RefusedError: the bytes aren't a pickle of this scikit-learn's version, or the classifier doesn't fit
                the contract.
        """
        if flavor.serialization_format not in ("pickle", "cloudpickle"):
            raise RefusedError(
                Code.MODEL_UNREADABLE,
                f'it is saved as {flavor.serialization_format}: log it with serialization_format="cloudpickle"',
            )
        if flavor.sklearn_version != sklearn.__version__:
            raise RefusedError(
                Code.SKLEARN_VERSION,
                f"it was made by scikit-learn {flavor.sklearn_version}, the service has {sklearn.__version__}",
            )
        try:
            self._model: Any = pickle.loads(content)  # noqa: S301 - signature and digest were verified
        except Exception as error:  # Unpickling runs any code, which raises anything.
            raise RefusedError(
                Code.MODEL_UNREADABLE, f"model.pkl can't be unpickled: {type(error).__name__}: {error}"
            ) from error
        _check_model(self._model, contract)

    def predict(self, rows: Rows) -> tuple[Labels, Probabilities]:
        """See `Engine.predict`."""
        return self._run(rows) if type(self._model) in ROW_BY_ROW else in_blocks(self._run, rows)

    def _run(self, rows: Rows) -> tuple[Labels, Probabilities]:
        return self._model.predict(rows).astype(np.int64), self._model.predict_proba(rows)


def _check_model(model: Any, contract: Contract) -> None:
    features = [feature.name for feature in contract.features]
    labels = list(range(len(contract.classes)))
    if not hasattr(model, "predict_proba"):
        raise RefusedError(Code.SIGNATURE_MISMATCH, f"{type(model).__name__} has no predict_proba")
    classes = list(getattr(model, "classes_", []))
    if classes != labels:
        raise RefusedError(
            Code.SIGNATURE_MISMATCH, f"its classes are {classes}, expected the labels {', '.join(map(str, labels))}"
        )
    if getattr(model, "n_features_in_", None) != len(features):
        raise RefusedError(Code.SIGNATURE_MISMATCH, f"it doesn't take {len(features)} features")
    names = list(getattr(model, "feature_names_in_", features))
    if names != features:
        raise RefusedError(Code.SIGNATURE_MISMATCH, f"it was fitted with the columns {names}")

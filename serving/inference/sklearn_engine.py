"""The engine for versions registered by hand. Importing this module imports scikit-learn."""

import pickle
import warnings
from typing import Any

import numpy as np
import sklearn

from serving.inference.contract import FEATURES, SPECIES, SklearnFlavor
from serving.inference.engines import Labels, Probabilities, Rows
from serving.registry.refusals import Code, RefusedError

# Models fitted with a DataFrame know its column names, and would warn at each array without them.
# `_check_model` has compared them with ours.
warnings.filterwarnings("ignore", message="X does not have valid feature names", category=UserWarning)


class SklearnEngine:
    """A scikit-learn classifier, as MLflow pickled it."""

    name = "scikit-learn"

    def __init__(self, content: bytes, flavor: SklearnFlavor) -> None:
        """Unpickle verified bytes: whoever wrote them runs code here.

        Raises:
            RefusedError: it isn't a pickle of this scikit-learn's version, or the classifier doesn't fit.
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
            self._model: Any = pickle.loads(content)  # noqa: S301 - the digests vouch for it
        except Exception as error:  # Unpickling runs any code, which raises anything.
            raise RefusedError(
                Code.MODEL_UNREADABLE, f"model.pkl can't be unpickled: {type(error).__name__}: {error}"
            ) from error
        _check_model(self._model)

    def predict(self, rows: Rows) -> tuple[Labels, Probabilities]:
        """See `Engine.predict`."""
        return self._model.predict(rows).astype(np.int64), self._model.predict_proba(rows)


def _check_model(model: Any) -> None:
    if not hasattr(model, "predict_proba"):
        raise RefusedError(Code.SIGNATURE_MISMATCH, f"{type(model).__name__} has no predict_proba")
    classes = list(getattr(model, "classes_", []))
    if classes != list(range(len(SPECIES))):
        raise RefusedError(Code.SIGNATURE_MISMATCH, f"its classes are {classes}, expected the labels 0, 1, 2")
    if getattr(model, "n_features_in_", None) != len(FEATURES):
        raise RefusedError(Code.SIGNATURE_MISMATCH, f"it doesn't take {len(FEATURES)} features")
    names = list(getattr(model, "feature_names_in_", FEATURES))
    if names != list(FEATURES):
        raise RefusedError(Code.SIGNATURE_MISMATCH, f"it was fitted with the columns {names}")

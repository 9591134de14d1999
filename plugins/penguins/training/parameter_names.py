"""The names of an estimator's parameters, read once.

scikit-learn reads the signature of the constructor five times for each tree of a forest, which takes a third of the
fit where rows are few.
"""

from functools import cache
from typing import Any, Final

from sklearn.base import BaseEstimator

_read: Final = cache(BaseEstimator._get_param_names.__func__)


def _names(cls: Any) -> list[str]:
    return list(_read(cls))


_READ_ONCE: Final = classmethod(_names)


def read_once() -> None:
    """Let scikit-learn read the names of each class of estimators once in this process."""
    BaseEstimator._get_param_names = _READ_ONCE

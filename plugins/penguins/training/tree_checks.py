"""Checks that scikit-learn repeats for each tree of a forest, though the forest has made them."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, _classes

# scikit-learn asks for the signature of the constructor five times a tree, a fifth of the fit where rows are few.
# Python then gives the one that is written here.
for _tree in (DecisionTreeClassifier, DecisionTreeRegressor):
    _tree.__init__.__signature__ = inspect.signature(_tree.__init__)


@contextmanager
def labels_checked_once() -> Iterator[None]:
    """Let the trees of a forest take their labels without a check of their own during the block.

    That check is a quarter of the fit of a forest on few rows.
    """
    check = _classes.check_classification_targets
    _classes.check_classification_targets = lambda _: None
    try:
        yield
    finally:
        _classes.check_classification_targets = check

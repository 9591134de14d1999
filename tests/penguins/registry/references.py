"""References of made-up tables."""

from typing import Any

import numpy as np

from penguins.data.dataset import Dataset
from penguins.registry.reference import Reference
from penguins.registry.references import build_reference
from penguins.training.columns import Columns
from penguins.training.grid import Candidate


def reference_of(data: Dataset, **params: Any) -> Reference:
    """Return the reference of a small forest that was trained on a table."""
    candidate = Candidate({"n_estimators": 20, "max_depth": 4} | params)
    model = candidate.model(Columns.of(data.contract.features), random_state=0)
    train = data.seen(data.train).astype(np.float64)
    return build_reference(model.fit(train, data.labels[data.train]), data)

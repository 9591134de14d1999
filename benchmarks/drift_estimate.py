"""The estimate of the accuracy against the truth, on tables like those of the examples, with a drift of features.

The real tables are too small to know an accuracy within a point. So rows are drawn from them with some noise, which
makes more of the same kind, with the class of the row that each comes from; and a window prefers rows with high or with
low values of a feature. What a class means stays: that is covariate shift.
"""

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from contract.encoding import encode
from contract.schema import DataContract
from examples.contracts.tables import write
from penguins import contracts
from penguins.data.dataset import Dataset, split
from penguins.monitoring.baseline import Baseline
from penguins.monitoring.drift import judge
from penguins.monitoring.estimate import estimate
from penguins.registry.references import build_reference
from penguins.training.columns import Columns
from penguins.training.grid import Candidate

CONTRACTS: Final = ("penguins_mixed", "breast_cancer")
TRAINED_ON: Final = 600
WINDOW: Final = 1_000
NOISE: Final = 0.3  # standard deviations of each feature
FARTHEST: Final = 1.0  # exponent of the preference, for a standard deviation


@dataclass(frozen=True)
class Result:
    """The result for a window: the distance to the truth, and whether the interval covers it."""

    error: float
    covered: bool


@cache
def real(name: str) -> tuple[DataContract, np.ndarray, np.ndarray]:
    """Return the contract of an example, its encoded rows `[n, features]` and their labels `[n]`."""
    folder = Path(__file__).resolve().parent.parent / "examples" / "contracts"
    contract = contracts.read(folder / f"{name}.yaml")
    with tempfile.TemporaryDirectory() as temporary:
        rows = pd.read_csv(write(Path(temporary))[name])
    rows = rows.dropna(subset=[each.name for each in contract.features if each.required])
    columns = [encode(each, rows[each.name].astype(object)) for each in contract.features]
    labels = rows[contract.target.name].map({name: label for label, name in enumerate(contract.classes)})
    return contract, np.column_stack(columns), labels.to_numpy()


def draw(name: str, random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows and labels."""
    contract, rows, labels = real(name)
    chosen = random.integers(len(rows), size=count)
    numeric = np.array([each.is_numeric for each in contract.features])
    noise = NOISE * np.nanstd(rows, axis=0) * random.standard_normal((count, rows.shape[1])) * numeric
    return (rows[chosen] + noise).astype(np.float32), labels[chosen]


def measure(name: str, seed: int) -> Result | None:
    """Train a model, and estimate its accuracy in a window with drift; None if the estimate is refused."""
    random = np.random.default_rng([seed, CONTRACTS.index(name)])
    contract, *_ = real(name)
    data = _dataset(contract, *draw(name, random, TRAINED_ON), seed)
    model = Candidate({"n_estimators": 50}).model(Columns.of(contract.features), random_state=seed)
    model.fit(data.seen(data.train).astype(np.float64), data.labels[data.train])
    reference = build_reference(model, data)
    rows, labels = draw(name, random, 20 * WINDOW)
    feature = random.choice([place for place, each in enumerate(contract.features) if each.is_numeric])
    values = np.nan_to_num((rows[:, feature] - np.nanmean(rows[:, feature])) / np.nanstd(rows[:, feature]))
    weights = np.exp(random.uniform(-FARTHEST, FARTHEST) * np.clip(values, -3, 3))
    chosen = random.choice(len(rows), WINDOW, replace=False, p=weights / weights.sum())
    window, truth = rows[chosen], labels[chosen]
    probabilities = model.predict_proba(pd.DataFrame(window, columns=data.features.columns)).astype(np.float32)
    domain = judge(Baseline(reference), window, 1e-6).domain
    found = estimate(reference, window, probabilities, domain, seed).accuracy
    if found is None:
        return None
    accuracy = float((probabilities.argmax(axis=1) == truth).mean())
    return Result(abs(found.value - accuracy), found.low <= accuracy <= found.high)


def _dataset(contract: DataContract, rows: np.ndarray, labels: np.ndarray, seed: int) -> Dataset:
    frame = pd.DataFrame(rows.astype(np.float64), columns=[each.name for each in contract.features])
    return split(frame.assign(**{contract.label_column: labels}), 0.2, seed, contract)

"""Small tables of made-up contracts, as the training sees them."""

import numpy as np
import pandas as pd

from contract.encoding import encode, to_matrix
from contract.schema import Column, DataContract
from contract.training import Training
from penguins.data.dataset import Dataset

NUMBERS = tuple(Column(name=name, type="number") for name in ("mean radius", "od280/od315 %"))
MIXED = (
    Column(name="mean 'radius' %", type="number", required=False),
    Column(name="year", type="integer", required=False),
    Column(name="island 🐧", type="string", categories=("Biscoe", "Dream, or not", 'the "third"'), required=False),
    Column(name="grade", type="integer", categories=(10, 20, 30, 40)),
    Column(name="is adult", type="boolean", required=False),
    Column(name="height", type="number"),
)


def contract(features: tuple[Column, ...], classes: int) -> DataContract:
    """Return a contract with these features, and classes named `class 0` and so on."""
    names = tuple(f"class {number}" for number in range(classes))
    target = Column(name="kind", type="string", role="target", categories=names)
    training = Training(registered_model="made_up", experiment="made_up", min_accuracy=0.5)
    return DataContract(name="made_up", columns=(target, *features), training=training)


def made_up(features: tuple[Column, ...], classes: int = 3, rows: int = 300, seed: int = 0) -> Dataset:
    """Return rows whose class depends on every feature, a fifth of the values missing where they may be."""
    random = np.random.default_rng(seed)
    values, sums = [], np.zeros(rows)
    for column in features:
        if column.is_numeric:
            drawn = random.normal(0, 10, rows).round(1 if column.type == "number" else 0)
            sums += drawn / 10
        else:
            kinds = column.categories or (False, True)
            chosen = random.integers(len(kinds), size=rows)
            drawn = np.array(kinds, dtype=object)[chosen]
            sums += chosen
        missing = random.random(rows) < (0 if column.required else 0.2)
        sums[missing] -= 1
        values.append(encode(column, [None if gone else value for value, gone in zip(drawn, missing, strict=True)]))
    labels = np.argsort(np.argsort(sums + random.normal(0, 0.3, rows))) * classes // rows
    frame = pd.DataFrame(to_matrix(values).astype(float), columns=[column.name for column in features])
    train, holdout = (np.flatnonzero(np.arange(rows) % 5 != 0), np.flatnonzero(np.arange(rows) % 5 == 0))
    return Dataset(frame, labels, train, holdout, "digest", seed, 0.2, contract(features, classes))

"""Synthetic penguins in any number, with the distribution of the real ones."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
from palmerpenguins import load_penguins

from penguins.data.contract import FEATURE_NAMES, PENGUINS, SPECIES

CHUNK = 100_000
TYPES = {"string": pa.string(), "number": pa.float64(), "integer": pa.int32()}
SCHEMA = pa.schema([(column.name, TYPES[column.type]) for column in PENGUINS.columns])


def write(path: Path, rows: int, seed: int = 0) -> None:
    """Write `rows` penguins as CSV, in constant memory."""
    options = pa.csv.WriteOptions(quoting_style="none")
    with pa.csv.CSVWriter(path, SCHEMA, write_options=options) as writer:
        for chunk in penguins(rows, seed):
            writer.write_table(pa.Table.from_pandas(chunk, SCHEMA, preserve_index=False))


def penguins(rows: int, seed: int = 0) -> Iterator[pd.DataFrame]:
    """Yield `rows` penguins in chunks, with the columns of the data contract.

    Each penguin has the species, the other columns and the missing values of a real penguin drawn at random, and
    measurements from the multivariate normal distribution of the complete rows of its species.
    """
    generator = np.random.default_rng(seed)
    real = load_penguins()
    fits = {
        name: (found.mean().to_numpy(), found.cov().to_numpy())
        for name, found in ((name, real.loc[real.species == name, list(FEATURE_NAMES)].dropna()) for name in SPECIES)
    }
    for start in range(0, rows, CHUNK):
        drawn = real.iloc[generator.integers(len(real), size=min(CHUNK, rows - start))].reset_index(drop=True)
        measured = np.empty((len(drawn), len(FEATURE_NAMES)))
        for name, (mean, covariance) in fits.items():
            members = (drawn.species == name).to_numpy()
            measured[members] = generator.multivariate_normal(mean, covariance, members.sum())
        missing = drawn[list(FEATURE_NAMES)].isna()
        drawn[list(FEATURE_NAMES)] = pd.DataFrame(measured.round(1), columns=FEATURE_NAMES).mask(missing)
        yield drawn

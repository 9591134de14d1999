"""Write the tables of the examples as CSV: `python examples/contracts/tables.py FOLDER`.

Their contracts, which are beside this file, are what `make contract` drafts from them.
"""

import sys
from pathlib import Path
from typing import Final

import pandas as pd
from palmerpenguins import load_penguins
from sklearn.datasets import load_breast_cancer, load_wine

TARGETS: Final = {"wine": "cultivar", "breast_cancer": "diagnosis", "penguins_mixed": "species"}
"""Target of each example, by the name of its contract and of its file."""


def write(folder: Path) -> dict[str, Path]:
    """Write all tables, and return their paths by name."""
    paths = {name: folder / f"{name}.csv" for name in TARGETS}
    _of_scikit_learn(load_wine, "cultivar").to_csv(paths["wine"], index=False)
    # With an index, as many files have.
    _of_scikit_learn(load_breast_cancer, "diagnosis").to_csv(paths["breast_cancer"])
    _penguins().to_csv(paths["penguins_mixed"], index=False)
    return paths


def _of_scikit_learn(load: object, target: str) -> pd.DataFrame:
    loaded = load(as_frame=True)  # type: ignore[operator]
    names = loaded.target.map(dict(enumerate(loaded.target_names)))
    data: pd.DataFrame = loaded.data
    return data.assign(**{target: names})


def _penguins() -> pd.DataFrame:
    """Return penguins with categories, a boolean, and missing values of each kind."""
    rows = load_penguins()
    heavy = (rows["body_mass_g"] > 4200).astype("boolean").mask(rows["body_mass_g"].isna())
    return rows[["species", "island", "bill_length_mm", "sex", "year"]].assign(heavy=heavy)


if __name__ == "__main__":
    for path in write(Path(sys.argv[1])).values():
        print(path)
